"""Random classes, registered at random, and random programs over proxies of their objects.

A class is put together from the methods below; how it is registered (what is exposed, by which kind
of proxy, which methods return proxies) is drawn, too. A program is a list of expressions in which
`x` and `y` are proxies of objects of the class.
"""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Callable


class OddError(Exception):
    """An exception of the program itself, with more than a message."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class StubbornError(Exception):
    """An exception that can be pickled, and not be unpickled."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__("one argument only")


class SilentError(Exception):
    """An exception that cannot be pickled."""

    def __reduce__(self):
        raise TypeError("this error stays where it is")


ERRORS = {
    "value": lambda: ValueError("no such value", 7),
    "key": lambda: KeyError(("a", 1)),
    "os": lambda: FileNotFoundError(2, "No such file or directory", "somewhere"),
    "stop": lambda: StopIteration(5),
    "attribute": lambda: AttributeError("a made up attribute"),
    "odd": lambda: OddError(3, "because"),
    "silent": lambda: SilentError("x"),
    "unicode": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
}


def add(self, number=1):
    self.total += number
    return self.total


def total(self):
    return self.total


def push(self, *items, **more):
    self.items.extend(items)
    self.items.extend(sorted(more.items()))
    return len(self.items)


def content(self):
    return self.items


def echo(self, *args, **kwds):
    return args, kwds


def fail(self, kind="value"):
    self.total += 100
    raise ERRORS[kind]()


def fail_again(self):
    try:
        {}["missing"]
    except KeyError as error:
        raise ValueError("a cause is known") from error


def function(self):
    self.total += 1000
    return lambda: None


def lock(self):
    return threading.Lock()


def numbers(self, limit=3):
    return iter(range(self.total, self.total + limit))


def generate(self, limit=3):
    for number in range(limit):
        received = yield number
        if received is not None:
            self.items.append(received)


def read(self, other):
    return other.add(2)


def call(self, *args):
    return sum(args)


def length(self):
    return len(self.items)


def get_item(self, position):
    return self.items[position]


def set_item(self, position, value):
    self.items[position] = value


def contains(self, item):
    return item in self.items


def private(self):
    return "private"


#: The method's name, its function, and calls of it.
METHODS: dict[str, tuple[Callable, list[str]]] = {
    "add": (add, ["X.add()", "X.add(VALUE)", "X.add(number=2)", "X.add(1, 2)", "X.add('a')"]),
    "get_total": (total, ["X.get_total()", "X.get_total(1)"]),
    "push": (push, ["X.push(VALUE, VALUE)", "X.push(VALUE)", "X.push(b=VALUE, a=1)", "X.push(X)"]),
    "content": (content, ["X.content()"]),
    "echo": (echo, ["X.echo(VALUE)", "X.echo(VALUE, VALUE, key=VALUE)", "X.echo(*range(9))"]),
    "fail": (fail, [f"X.fail({kind!r})" for kind in ERRORS] + ["X.fail('no such error')"]),
    "fail_again": (fail_again, ["X.fail_again()"]),
    "function": (function, ["X.function()"]),
    "lock": (lock, ["X.lock()"]),
    "numbers": (numbers, ["X.numbers()", "list(X.numbers(4))", "next(X.numbers(1))"]),
    "generate": (
        generate,
        ["list(X.generate())", "X.generate(2)", "exhaust(X.generate(2))", "send(X.generate(3), 8)"],
    ),
    "read": (read, ["X.read(Y)", "X.read(X)", "X.read(3)"]),
    "__call__": (call, ["X()", "X(1, 2)", "X('a')"]),
    "__len__": (length, ["len(X)", "bool(X)"]),
    "__getitem__": (get_item, ["X[0]", "X[-1]", "X[99]", "X['a']", "X[:]", "X[1:]"]),
    "__setitem__": (set_item, ["put(X, 0, VALUE)", "put(X, 99, 1)"]),
    "__contains__": (contains, ["VALUE in X", "VALUE not in X"]),
    "_private": (private, ["X._private()"]),
}
#: What can be asked of every proxy.
QUESTIONS = """str(X) X._callmethod('add') X._callmethod('add',(VALUE,)) X._callmethod('void')
    X._callmethod('_private') X._callmethod('echo',(1,),{'a':VALUE}) X._callmethod('#GETVALUE')
    X._callmethod('__str__') X._callmethod('__len__') hasattr(X,'add') hasattr(X,'nothing')
    X.nothing X.total X._token.typeid sorted(set(X._exposed_ or ())) type(X).__name__
    copy.copy(X).add() pickle.loads(pickle.dumps(X)).add() type(copy.deepcopy(X)).__name__ X==X X==Y
    X.echo(open) X.echo(lambda:1) isinstance(X,BaseProxy)""".split()
VALUES = """0 1 -5 2**40 2**63 -2**70 0.5 float('inf') 'a' 'x'*3000 '\\u00e4\\u4e2d' '\\ud800' b''
    b'bytes' b'y'*5000 None True False (1,'a') () (None,(2.0,)) [1,[2]] [] {'k':1} {1,2}
    frozenset({3}) 1+2j range(3) bytearray(b'z') Ellipsis int ValueError('v')""".split()
PROXIES = ("auto", "made", "own")


@dataclasses.dataclass(frozen=True)
class Registration:
    """A random class and how it is registered."""

    methods: tuple[str, ...]
    exposed: tuple[str, ...] | None
    returning_proxies: dict[str, str] | None
    proxy: str

    def make_class(self) -> type:
        """The class: methods and what they need."""

        def __init__(self, start=0, items=()):
            self.total = start
            self.items = list(items)

        def __repr__(self):
            return f"<Random {self.total} {self.items}>"

        body: dict[str, object] = {name: METHODS[name][0] for name in self.methods}
        return type("Random", (), {**body, "__init__": __init__, "__repr__": __repr__})

    def register(self, manager_class, module) -> None:
        """Register the class as `Random` with a manager class of `module`."""
        proxytype = None
        if self.proxy == "made":
            proxytype = module.MakeProxyType("RandomProxy", self.exposed or self.methods)
        elif self.proxy == "own":
            proxytype = own_proxy(module.BaseProxy, self.exposed or self.methods)
        manager_class.register("Iterator", proxytype=module.IteratorProxy, create_method=False)
        manager_class.register(
            "Random",
            self.make_class(),
            proxytype,
            exposed=self.exposed,
            method_to_typeid=self.returning_proxies,
        )


def own_proxy(base: type, exposed: tuple[str, ...]) -> type:
    """A proxy class as programs write them by hand."""

    class RandomProxy(base):
        _exposed_ = exposed

        def add(self, *args, **kwds):
            return self._callmethod("add", args, kwds)

        def push(self, *items):
            return self._callmethod("push", items)

        def __getattr__(self, name):
            if name in exposed:
                return lambda *args, **kwds: self._callmethod(name, args, kwds)
            raise AttributeError(name)

    return RandomProxy


def registration(source: random.Random) -> Registration:
    """A class with some of the methods, registered in one of the ways that there are."""
    methods = tuple(name for name in METHODS if source.random() < 0.75)
    exposed = None
    if source.random() < 0.5:
        exposed = tuple(name for name in METHODS if source.random() < 0.7)
    proxies = {}
    for name in ("numbers", "generate"):
        if name in methods and source.random() < 0.8:
            proxies[name] = "Iterator"
    return Registration(methods, exposed, proxies or None, source.choice(PROXIES))


def program(source: random.Random, length: int) -> list[str]:
    """Expressions over two objects of a class."""
    steps = []
    for _ in range(length):
        if source.random() < 0.2:
            text = source.choice(QUESTIONS)
        else:
            text = source.choice(source.choice(list(METHODS.values()))[1])
        while "VALUE" in text:
            text = text.replace("VALUE", source.choice(VALUES), 1)
        one, other = source.choice([("x", "y"), ("y", "x")])
        steps.append(text.replace("X", one).replace("Y", other))
    return steps
