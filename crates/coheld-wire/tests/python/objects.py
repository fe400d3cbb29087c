"""Makes awkward objects, pickles them in every protocol, and compares what comes back.

For each protocol one message, the pickle of a list of all objects, goes to standard output. The
other end takes the items out, each as a pickle of its own, and sends those to standard input.
"""

import collections
import copyreg
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import operator
import pathlib
import pickle
import random
import struct
import sys
import types
import uuid


@dataclasses.dataclass
class Point:
    x: int
    y: object = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    name: str
    parts: tuple


class Colour(enum.Enum):
    RED = 1
    BLUE = "blue"


class Access(enum.IntFlag):
    READ = 4
    WRITE = 2


Pair = collections.namedtuple("Pair", "left right")


class Listed(list):
    pass


class Mapped(dict):
    pass


class Unique(set):
    pass


class Texted(str):
    pass


class Numbered(int):
    pass


class Tupled(tuple):
    pass


class Slotted:
    __slots__ = ("a", "b", "__weakref__")


class SlottedToo(Slotted):
    __slots__ = ("c",)


class WithDict(Slotted):
    pass


class Stated:
    def __init__(self, value):
        self.value = value

    def __getstate__(self):
        return ("state", self.value)

    def __setstate__(self, state):
        assert state[0] == "state"
        self.value = state[1]


class NewArguments:
    def __new__(cls, first, second):
        self = super().__new__(cls)
        self.both = (first, second)
        return self

    def __getnewargs__(self):
        return self.both


class NewKeywords:
    def __new__(cls, first, *, second):
        self = super().__new__(cls)
        self.pair = (first, second)
        return self

    def __getnewargs_ex__(self):
        return (self.pair[0],), {"second": self.pair[1]}


class Reduced:
    """Made by a call, then filled with items of both kinds, then given its state."""

    def __init__(self, *arguments):
        self.arguments, self.items, self.pairs, self.extra = arguments, [], {}, None

    def append(self, item):
        self.items.append(item)

    def extend(self, items):
        self.items.extend(items)

    def __setitem__(self, key, value):
        self.pairs[key] = value

    def __setstate__(self, state):
        self.extra = state

    def __reduce_ex__(self, protocol):
        pairs = iter(self.pairs.items())
        return Reduced, self.arguments, self.extra, iter(self.items), pairs


class Registered:
    def __init__(self, value):
        self.value = value


copyreg.pickle(Registered, lambda self: (Registered, (self.value,)))


class Problem(Exception):
    def __init__(self, code, hint=None):
        super().__init__(code)
        self.hint = hint


class Outer:
    class Inner:
        def method(self):
            return self


class Plain:
    pass


def filled(target, **attributes):
    for name, value in attributes.items():
        setattr(target, name, value)
    return target


def awkward():
    """One or more of everything."""
    shared = ["shared", {"deep": [1, 2, 3]}]
    yield from [None, True, False, 0, 1, -1, 255, 256, 65535, 65536, -129, 2**31, -(2**31) - 1]
    yield from [2**63, -(2**63), 2**64, -(2**100), 2**2100, -(2**2100), 1 << 5000]
    yield from [0.0, -0.0, 1.5, 1e300, float("inf"), float("nan"), 3 + 4j]
    yield from ["", "text", "\u00e9\u20ac\U0001f600", "\ud800lone", "a\\u0041\nb\\", "x" * 300]
    yield from ["y" * 70000, b"", b"bytes", bytes(range(256)), b"z" * 70000]
    yield from [bytearray(), bytearray(b"mutable" * 50)]
    yield from [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1], list(range(2500))]
    yield from [{}, {"a": 1}, {i: str(i) for i in range(1500)}, {(1, "k"): None, 2.5: ()}]
    yield from [set(), {1, "b"}, frozenset(), frozenset({1, ("t",)}), set(range(1200))]
    yield from [shared, [shared, shared], {"again": shared}, (shared, (shared,))]
    yield from [Point(1, shared), Frozen("f", (1, (2,))), Colour.RED, Access.READ | Access.WRITE]
    yield from [Pair(1, shared), filled(Listed([1, shared]), note="n"), Listed(), Mapped(a=shared)]
    yield from [filled(Mapped({1: 2}), of=shared), Unique({1, 2}), filled(Unique({3}), tag=1)]
    yield from [Texted("sub"), Numbered(7), filled(Tupled((1, shared)), more=2)]
    yield filled(Slotted(), a=1, b=shared)
    yield filled(SlottedToo(), a=1, c=[shared])
    yield filled(WithDict(), a=1, other=shared)
    yield from [Stated(shared), Stated(None), NewArguments(1, shared)]
    yield NewKeywords(shared, second=2)
    reduced = Reduced(1, shared)
    reduced.items, reduced.pairs = [1], {"k": shared}
    yield reduced
    reduced = Reduced()
    reduced.items, reduced.pairs, reduced.extra = [1, 2, shared], {1: 2, 3: 4}, [reduced]
    yield reduced
    yield from [Registered(shared), KeyError("zz"), OSError(2, "no", "file"), StopIteration()]
    yield from [filled(Problem(5), hint=shared), filled(ValueError("v"), extra=[1]), Plain()]
    yield UnicodeDecodeError("utf-8", b"x", 0, 1, "why")
    yield from [datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1, 12, 30, 1, 5)]
    zone = datetime.timezone(datetime.timedelta(hours=2), "zone")
    yield from [datetime.datetime(1999, 1, 1, tzinfo=zone), datetime.timedelta(1, 2, 3)]
    yield from [decimal.Decimal("1.10"), fractions.Fraction(2, 3), uuid.UUID(int=5)]
    yield from [collections.OrderedDict([("z", 1), ("a", shared)]), collections.Counter("abca")]
    yield from [collections.defaultdict(list, {1: shared}), collections.deque([1, shared], 5)]
    yield from [collections.ChainMap({1: 2}, {3: shared}), types.SimpleNamespace(a=shared)]
    yield from [range(3, 9, 2), slice(1, None, 2), Ellipsis, NotImplemented, type(None)]
    yield from [int, len, struct.pack, Outer.Inner, Outer.Inner(), Outer.Inner().method]
    yield from [functools.partial(int, base=2), operator.itemgetter(1, 2), functools.reduce]
    yield from [pathlib.PurePosixPath("/a/b"), random.Random(5), [].append, map, filter, zip]
    # Whatever contains itself.
    ring = []
    ring.append(ring)
    yield ring
    loop = {}
    loop["me"] = (loop, [loop])
    yield loop
    inner = []
    knot = (inner, 1)
    inner.append(knot)
    yield from [knot, inner]
    inner = {}
    wide = (1, 2, inner, 3, 4)
    inner["wide"] = wide
    yield from [wide, inner]
    node = Plain()
    node.self, node.frozen = node, frozenset([node])
    yield from [node, node.frozen]
    listed = Listed()
    listed.append(listed)
    listed.owner = (listed,)
    yield listed
    mapped = Mapped()
    mapped["me"], mapped.other = mapped, node
    yield mapped
    body = []
    reduced = Reduced(body)
    body.append((reduced, body))
    yield from [reduced, body]
    first, second = Stated(None), Stated(None)
    first.value, second.value = second, (first, shared)
    yield from [first, second]
    element = Plain()
    element.home = {element}
    yield from [element, element.home]
    deep = []
    for _ in range(300):
        deep = [deep]
    yield deep
    chain = None
    for _ in range(90):
        chain = filled(Plain(), next=chain, also=shared)
    yield chain


def invented(generator, pool, depth=0):
    """An object made at random, which shares parts with others and may contain itself."""
    if pool and generator.random() < 0.15:
        return generator.choice(pool)
    kind = generator.randrange(22 if depth < 5 else 8)
    again = functools.partial(invented, generator, pool, depth + 1)
    some = range(generator.choice([0, 1, 2, 3, 4, 7]))
    if kind < 8:
        number = generator.getrandbits(generator.randrange(1, 90))
        text = "".join(generator.choice("ab\u00e9\n\\\u20ac\U0001f600") for _ in some)
        simple = [None, True, number, -number, generator.random(), text, text.encode()]
        return generator.choice([*simple, bytearray(text.encode()), Colour.BLUE, Texted(text)])
    if kind < 11:
        made = generator.choice([list, Listed])()
        pool.append(made)
        made.extend(again() for _ in some)
    elif kind < 14:
        made = generator.choice([dict, Mapped, collections.OrderedDict])()
        pool.append(made)
        made.update((generator.getrandbits(20), again()) for _ in some)
    elif kind < 17:
        made = tuple(again() for _ in some)
    elif kind == 17:
        return generator.choice([set, frozenset])(generator.getrandbits(20) for _ in some)
    elif kind == 18:
        made = Stated(Registered(again()))
        pool.append(made)
        made.value = [made.value, again()]
    elif kind == 19:
        made = Reduced(*(again() for _ in some))
        pool.append(made)
        made.items, made.extra = [again() for _ in some], again()
        made.pairs = {index: again() for index in some}
    elif kind == 20:
        made = filled(SlottedToo(), a=again(), b=again())
    else:
        made = filled(Problem(again()), hint=again())
    pool.append(made)
    return made


ATOMS = (type(None), bool, int, float, complex, str, bytes, type, types.FunctionType)
ATOMS += (enum.Enum, type(Ellipsis), type(NotImplemented))


def shape(value, seen, kept):
    """What an object consists of and where the same object occurs again, as plain data."""
    if isinstance(value, ATOMS) and not hasattr(value, "__dict__") or isinstance(value, type):
        return type(value).__name__, repr(value)
    if isinstance(value, (enum.Enum, types.FunctionType)):
        return type(value).__name__, repr(value)
    if isinstance(value, types.BuiltinFunctionType):
        owner = value.__self__
        return value.__qualname__, repr(owner if isinstance(owner, types.ModuleType) else [*owner])
    if id(value) in seen:
        return "again", seen[id(value)]
    kept.append(value)
    if value != ():
        seen[id(value)] = len(seen)
    name = type(value).__name__
    if type(value) in (list, tuple):
        return name, [shape(item, seen, kept) for item in value]
    if type(value) is dict:
        return name, [(shape(k, seen, kept), shape(v, seen, kept)) for k, v in value.items()]
    if type(value) in (set, frozenset):
        return name, sorted(repr(shape(item, dict(seen), kept)) for item in value)
    if type(value) is bytearray:
        return name, bytes(value)
    parts = list(value.__reduce_ex__(4))
    kept.append(parts)
    if type(parts[0]) is not str and isinstance(value, set):
        parts[1] = (sorted(map(repr, value)),)
    parts = [list(part) if index in (3, 4) and part else part for index, part in enumerate(parts)]
    return name, [shape(part, seen, kept) for part in parts if part != ()]


def compare(expected, found):
    return shape(expected, {}, []) == shape(found, {}, [])


def picklable(value, protocol):
    try:
        pickle.dumps(value, protocol)
    except (TypeError, RecursionError, pickle.PicklingError):
        # Before protocol 2 nothing of these kinds was possible.
        return False
    return True


def receive(count):
    data = sys.stdin.buffer.read(count)
    assert len(data) == count, "the other end is gone"
    return data


def main():
    sys.setrecursionlimit(5000)
    output = sys.stdout.buffer
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        generator = random.Random(protocol)
        pool = []
        objects = list(awkward()) + [invented(generator, pool) for _ in range(100)]
        objects = [value for value in objects if picklable(value, protocol)]
        assert len(objects) > (150 if protocol < 2 else 220), len(objects)
        message = pickle.dumps(objects, protocol)
        output.write(struct.pack("<Q", len(message)) + message)
        output.flush()
        expected = pickle.loads(message)
        for index, original in enumerate(expected):
            (length,) = struct.unpack("<Q", receive(8))
            found = pickle.loads(receive(length))
            assert compare(original, found), (protocol, index, repr(original)[:200])
    output.write(struct.pack("<Q", 0))


main()
