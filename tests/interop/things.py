"""Classes that both ends can import: objects of a server, and values that travel."""

from __future__ import annotations

import collections
import enum
import queue
import threading
import time


class Point:
    """A value of a program's own class."""

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __eq__(self, other):
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    def __hash__(self):
        return hash((self.x, self.y))

    def __repr__(self):
        return f"Point({self.x!r}, {self.y!r})"


class Color(enum.Enum):
    RED = 1
    BLUE = 2


Pair = collections.namedtuple("Pair", "left right")


class OwnError(Exception):
    """An exception of a program's own class."""


class DetailedError(OwnError):
    """An exception with an attribute beside its arguments."""

    def __init__(self, message, detail=None):
        super().__init__(message)
        self.detail = detail


class Unpicklable:
    """What cannot leave its process."""

    def __reduce__(self):
        raise TypeError("this stays here")


class Counter:
    """An object of a server."""

    def __init__(self, start=0, step=1):
        self.number = start
        self.step = step
        self.items = []
        self.lock = threading.Lock()

    def add(self, count=1, *, times=1):
        with self.lock:
            self.number += self.step * count * times
            return self.number

    def value(self):
        return self.number

    def same(self, *args, **kwds):
        return args, kwds

    def fail(self, kind, *args):
        errors = {
            "own": OwnError,
            "detailed": DetailedError,
            "key": KeyError,
            "value": ValueError,
            "stop": StopIteration,
            "attribute": AttributeError,
            "system": OSError,
            "zero": ZeroDivisionError,
        }
        raise errors[kind](*args)

    def fail_with_what_cannot_be_pickled(self):
        raise OwnError(Unpicklable())

    def unpicklable(self):
        return Unpicklable()

    def ticks(self, count):
        return iter(range(self.number, self.number + count))

    def child(self):
        return Counter(self.number + 100)

    def copied(self):
        return self.items

    def shared(self):
        return self.items

    def keep(self, item):
        self.items.append(item)

    def call(self, proxy, method, *args):
        """Use an object, or a proxy of it, from inside the server."""
        return getattr(proxy, method)(*args)

    def kind(self, value):
        return type(value).__name__

    def __len__(self):
        return len(self.items)

    def _hidden(self):
        return "hidden"

    def __repr__(self):
        return f"Counter({self.number!r})"


class Failing:
    """A class without objects."""

    def __init__(self, *args):
        raise ValueError("no object of this class", *args)


def ticks(count):
    """A generator with all that generators have."""
    sent = None
    for number in range(count):
        try:
            sent = yield number if sent is None else ("sent", sent)
        except ValueError as error:
            sent = str(error)


# What runs in a pool.


def double(number):
    return 2 * number


def add(left, right=10):
    return left + right


def fail(number):
    raise OwnError("cannot use this", number)


def sleep(seconds):
    time.sleep(seconds)


# What there is once in a server.

QUEUE = queue.Queue()
DICT = {"always": "here"}
COUNTER = Counter(1000)


SET_METHODS = tuple(
    """__and__ __contains__ __iand__ __ior__ __isub__ __iter__ __ixor__ __len__ __or__ __rand__
    __ror__ __rsub__ __rxor__ __sub__ __xor__ __ge__ __gt__ __le__ __lt__ add clear copy difference
    difference_update discard intersection intersection_update isdisjoint issubset issuperset pop
    remove symmetric_difference symmetric_difference_update union update""".split()
)


def define_proxies(managers):
    """Make this module's proxy types subclasses of those of the given module.

    They are names of the module because proxies that are pickled name their type.
    """
    global SetProxy, CounterProxy

    class CounterProxy(managers.BaseProxy):
        """A proxy type of a program's own, with properties."""

        _exposed_ = ("add", "fail", "__getattribute__")

        def add(self, *args, **kwds):
            return self._callmethod("add", args, kwds)

        def fail(self, *args):
            return self._callmethod("fail", args)

        @property
        def number(self):
            return self._callmethod("__getattribute__", ("number",))

    class SetProxy(managers.MakeProxyType("BaseSetProxy", SET_METHODS)):
        """Of CPython 3.14, for versions without it."""

        def __ior__(self, value):
            self._callmethod("__ior__", (value,))
            return self

        def __iand__(self, value):
            self._callmethod("__iand__", (value,))
            return self

        def __ixor__(self, value):
            self._callmethod("__ixor__", (value,))
            return self

        def __isub__(self, value):
            self._callmethod("__isub__", (value,))
            return self

    for proxy_type in (CounterProxy, SetProxy):
        proxy_type.__qualname__ = proxy_type.__name__
