"""Classes of objects that the tests share through transparent proxies."""

from __future__ import annotations

import asyncio
import os
import threading


class Unpicklable:
    """Has what pickle refuses."""

    def __init__(self, value=0) -> None:
        self.lock = threading.Lock()
        self.value = value


class Node(Unpicklable):
    """A chain without end of objects that do not pickle."""

    def __init__(self, depth=0) -> None:
        super().__init__(depth)
        self._next = None

    @property
    def next(self):
        if self._next is None:
            self._next = Node(self.value + 1)
        return self._next


class Service:
    """A bit of everything."""

    kind = "service"

    def __init__(self) -> None:
        self.number = 100
        self.items = [1, 2, 3]
        self.inner = Unpicklable(7)
        self._private = "private"
        self.calls = 0

    def add(self, x, y=1):
        return x + y

    def echo(self, *args, **kwargs):
        return args, kwargs

    def give(self, value):
        return value

    def count(self):
        self.calls += 1
        return self.calls

    def fail(self, kind, *args):
        raise kind(*args)

    def make(self, value=0):
        return Unpicklable(value)

    def myself(self):
        return self

    def the_inner(self):
        return self.inner

    def is_inner(self, thing):
        return thing is self.inner

    def kind_of(self, thing):
        return type(thing).__name__

    def apply(self, function, *args):
        return function(*args)

    def apply_later(self, function, *args):
        """On a thread that has nothing to do with the call."""
        results = []
        thread = threading.Thread(target=lambda: results.append(function(*args)))
        thread.start()
        thread.join()
        return results[0]

    def numbers(self, count):
        yield from range(count)

    def process(self):
        return os.getpid()

    def thread(self):
        return threading.get_ident()

    @classmethod
    def named(cls):
        return cls.__name__

    @staticmethod
    def twice(x):
        return 2 * x

    @property
    def square(self):
        return self.number**2

    def __secret__(self):
        return "secret"


class Quiet:
    """Returns nothing and is false."""

    def __bool__(self) -> bool:
        return False

    def nothing(self) -> None:
        return None


class OddError(Exception):
    """An exception of the program's own, with more than a text, and false."""

    def __init__(self, code, detail) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __len__(self) -> int:
        return 0


class LocalError(KeyError):
    """Does not pickle."""

    def __reduce__(self):
        raise TypeError("no")


class Managed:
    """A context manager."""

    def __init__(self) -> None:
        self.events = []

    def __enter__(self):
        self.events.append("enter")
        return "entered"

    def __exit__(self, kind, value, traceback) -> bool:
        self.events.append(kind and kind.__name__)
        return kind is ValueError


class Awaited:
    """What is used by event loops."""

    def __init__(self) -> None:
        self.cancelled = 0
        self.running = 0

    async def double(self, x, delay=0.0):
        await asyncio.sleep(delay)
        return 2 * x

    async def fail(self):
        raise KeyError("nothing there")

    async def for_ever(self):
        self.running += 1
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def numbers(self, count):
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    async def apply(self, function, *args):
        return function(*args)

    async def make(self):
        return Unpicklable(5)

    def process(self):
        return os.getpid()

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, value, traceback) -> bool:
        return kind is ValueError


class Vector:
    """Has operators."""

    def __init__(self, *numbers) -> None:
        self.numbers = list(numbers)

    def __eq__(self, other):
        return isinstance(other, Vector) and self.numbers == other.numbers

    __hash__ = None

    def __repr__(self) -> str:
        return f"Vector{tuple(self.numbers)}"

    def __add__(self, other):
        if not isinstance(other, Vector):
            return NotImplemented
        return Vector(*map(sum, zip(self.numbers, other.numbers)))

    def __rmul__(self, factor):
        return Vector(*(factor * number for number in self.numbers))

    def __iadd__(self, other):
        self.numbers = (self + other).numbers
        return self

    def __neg__(self):
        return Vector(*(-number for number in self.numbers))

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index):
        return self.numbers[index]

    def __setitem__(self, index, value) -> None:
        self.numbers[index] = value

    def __delitem__(self, index) -> None:
        del self.numbers[index]

    def __call__(self, *args):
        return len(args)
