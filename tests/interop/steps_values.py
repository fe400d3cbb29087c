"""Steps: values of all kinds on their way there and back."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import hashlib
import pickle
import uuid

from battery import step
from things import Color, Pair, Point

PLAIN = [
    None,
    True,
    0,
    -1,
    2**31 - 1,
    2**31,
    2**63 - 1,
    2**63,
    -(2**63),
    10**100,
    -(10**400),
    0.1,
    -0.0,
    1e308,
    5e-324,
    float("inf"),
    float("-inf"),
    float("nan"),
    1 + 2j,
    "",
    "text",
    "\u00e4\u20ac\U0001f600",
    "\ud800 alone",
    "nul \0 inside",
    b"",
    bytes(range(256)),
    bytearray(b"array of bytes"),
    (),
    (1, (2, (3, ()))),
    [],
    [1, [2, [3, []]]],
    {},
    {"a": {1: [None]}},
    {1, 2},
    frozenset((1, "x")),
    range(1, 10, 2),
    slice(1, None),
    Ellipsis,
    NotImplemented,
    int,
    len,
]

OBJECTS = [
    datetime.datetime(2020, 2, 29, 12, 30, 1, 5),
    datetime.timedelta(days=1, microseconds=1),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
    decimal.Decimal("1.10"),
    fractions.Fraction(1, 3),
    uuid.UUID(int=5),
    collections.OrderedDict([("b", 1), ("a", 2)]),
    collections.deque([1, 2], 5),
    collections.Counter("aab"),
    array.array("d", [1.5]),
    Point(1, [2]),
    Color.BLUE,
    Pair(1, "r"),
    ValueError("as a value", 5),
    [Point(1, 2), {"p": Point(3, 4)}],
    {Point(1, 2): "as a key"},
]


def digest(data):
    return len(data), hashlib.sha256(data).hexdigest()[:16]


@step(short=True)
def plain_values(world):
    shared = world.manager.list([None])
    for value in PLAIN:
        shared[0] = value
        back = shared[0]
        yield type(back).__name__, back
    shared[:] = PLAIN
    yield shared[:]


@step()
def values_of_classes(world):
    shared = world.manager.dict()
    for value in OBJECTS:
        shared["value"] = value
        back = shared["value"]
        yield type(back).__name__, back, back == value or isinstance(back, Exception)
    yield Point(1, [2]) in world.manager.list([Point(1, [2])])
    yield world.manager.list([Color.RED]).index(Color.RED)


@step()
def values_in_other_containers(world):
    shared = world.manager.Queue()
    for value in (*PLAIN[::5], *OBJECTS):
        shared.put(value)
        yield shared.get()
    shared = world.manager.Value("i", None)
    for value in (*PLAIN[1::5], *OBJECTS):
        shared.value = value
        yield shared.value


@step()
def keys_of_classes(world):
    shared = world.manager.dict()
    shared[Point(1, 2)] = "point"
    shared[datetime.date(2020, 1, 1)] = "date"
    shared[Color.RED] = "color"
    yield shared[Point(1, 2)], shared[datetime.date(2020, 1, 1)], shared[Color.RED]
    yield shared.keys(), len(shared), Point(1, 3) in shared


@step()
def values_that_share(world):
    inner = [1]
    shared = world.manager.list([[inner, inner]])
    back = shared[0]
    yield back, back[0] is back[1]
    circle = [1]
    circle.append(circle)
    shared[0] = circle
    back = shared[0]
    yield back[0], back[1] is back


@step(short=True)
def large_values(world):
    shared = world.manager.list([None])
    for size in (16384, 16385, 65536, 2**20):
        data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        shared[0] = data
        yield digest(shared[0])
    shared[0] = "\u20ac" * 100000
    yield digest(shared[0].encode())


@step()
def messages_at_the_limit_of_one_write(world):
    """Up to 16384 bytes, stock writes a frame at once; beyond that, header and body apart."""
    shared = world.manager.list([None])
    for length in (16383, 16384, 16385):
        size = length - 100
        while len(pickle.dumps((shared._id, "__setitem__", (0, b"x" * size), {}))) < length:
            size += 1
        shared[0] = b"x" * size
        yield shared[0] == b"x" * size
    for length in (16383, 16384, 16385):
        size = length - 100
        while len(pickle.dumps(("#RETURN", b"x" * size))) < length:
            size += 1
        shared[0] = b"x" * size
        yield shared[0] == b"x" * size


@step()
def very_large_values(world):
    data = b"0123456789abcdef" * 2**20
    shared = world.manager.Queue()
    shared.put(data)
    yield digest(shared.get())
    numbers = list(range(100000))
    shared.put(numbers)
    yield shared.get() == numbers
