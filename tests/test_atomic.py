"""`increment` and `compare_exchange`: they compute what Python does, and nothing is lost."""

from __future__ import annotations

import collections
import decimal
import enum
import fractions
import math
import multiprocessing
import operator
import threading

import marks
import pytest
import subject

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")
LIMIT = 2**59  # The first integer that does not lie in a word.
LONG = "a text that does not fit in a word"


class Money(fractions.Fraction):
    """A class whose sums only Python knows."""

    def __add__(self, other):
        return Money(fractions.Fraction(self) + fractions.Fraction(other))


class Colour(enum.IntEnum):
    RED = 1


class Unpicklable:
    def __add__(self, other):
        return self

    __radd__ = __add__

    def __reduce__(self):
        raise TypeError("this object stays where it is")


@pytest.fixture(params=["Value", "dict"])
def cell(request, manager):
    """A value of a Value, or of an entry of a dict, by the same names."""
    if request.param == "Value":
        return manager.Value("i", None)
    return Entry(manager.dict(other="as it was"), "key")


class Entry:
    """One entry of a dict, with the methods of a ValueProxy."""

    def __init__(self, shared, key):
        self.shared, self.key = shared, key

    @property
    def value(self):
        return self.shared[self.key]

    @value.setter
    def value(self, value):
        self.shared[self.key] = value

    def increment(self, *by):
        return self.shared.increment(self.key, *by)

    def compare_exchange(self, old, new):
        return self.shared.compare_exchange(self.key, old, new)


def same(one, two) -> bool:
    """Equal, of the same type, and a NaN like a NaN."""
    if type(one) is not type(two):
        return False
    if isinstance(one, (float, complex)):
        return repr(one) == repr(two)
    return one == two


# What `increment` computes.

NUMBERS = [
    0,
    1,
    -1,
    41,
    True,
    False,
    LIMIT - 1,
    LIMIT,
    -LIMIT,
    -LIMIT - 1,
    2**63 - 1,
    -(2**63),
    2**64,
    2**200,
    -(2**200),
    0.5,
    -0.0,
    0.1,
    1e300,
    5e-324,
    2.0**63,
    math.inf,
    -math.inf,
    math.nan,
    decimal.Decimal("1.10"),
    fractions.Fraction(1, 3),
    Money(7, 2),
    1j,
]


def outcome(function, *arguments):
    """The result of a call, or the class and text of its exception."""
    try:
        return True, function(*arguments)
    except Exception as problem:
        return False, (type(problem), str(problem))


def test_sums_of_numbers(cell):
    for start in NUMBERS:
        for by in NUMBERS:
            fine, expected = outcome(operator.add, start, by)
            cell.value = start
            found = outcome(cell.increment, by)
            if fine:
                assert found[0] and same(found[1], expected), (start, by, found, expected)
                assert same(cell.value, expected), (start, by)
            else:
                assert found == (False, expected), (start, by)
                assert same(cell.value, start), (start, by)


@pytest.mark.parametrize(
    ("start", "by"),
    [
        ("a", "b"),
        ("a", LONG),
        (LONG, LONG),
        ("", ""),
        ("\ud800", "x"),
        (b"a", b"b"),
        (b"a" * 100, bytearray(b"b")),
        ([1], [None]),
        ([1], []),
        ((1, "x"), (2,)),
        (collections.Counter(a=1), collections.Counter(a=2, b=1)),
    ],
)
def test_sums_of_other_values(cell, start, by):
    cell.value = start
    assert same(cell.increment(by), start + by)
    assert same(cell.value, start + by)


@pytest.mark.parametrize("limit", [LIMIT - 1, -LIMIT, 2**63 - 1, -(2**63)])
def test_across_the_limits_and_back(cell, limit):
    step = 1 if limit > 0 else -1
    cell.value = limit
    for number in (1, 2, 3):
        assert cell.increment(step) == limit + number * step
    for number in (2, 1, 0, -1):
        assert cell.increment(-step) == limit + number * step
    assert cell.value == limit - step


def test_by_one_unless_said_otherwise(manager):
    value = manager.Value("i", 1)
    assert value.increment() == 2
    assert value.increment(by=3) == 5
    value.value = LIMIT
    assert value.increment() == LIMIT + 1
    value.value = True
    assert same(value.increment(), 2)
    shared = manager.dict()
    assert shared.increment("n") == 1
    assert shared.increment("n", 2) == 3
    assert shared.increment("n", by=2, initial=100) == 5
    assert shared.copy() == {"n": 5}


@pytest.mark.parametrize(
    ("start", "by"),
    [
        (None, 1),
        (1, None),
        ("text", 1),
        (LONG, 1),
        (1, "text"),
        ([], 1),
        ({}, {}),
        (b"", "text"),
        (10**400, 0.5),
    ],
)
def test_a_sum_that_python_refuses(cell, start, by):
    cell.value = start
    fine, expected = outcome(operator.add, start, by)
    assert not fine
    assert outcome(cell.increment, by) == (False, expected)
    assert cell.value == start


def test_a_sum_that_cannot_be_stored(cell):
    cell.value = 1
    with pytest.raises(TypeError, match="stays where it is"):
        cell.increment(Unpicklable())
    assert cell.value == 1


@pytest.mark.parametrize("typecode", ["i", "d", "c", int, object()])
def test_the_typecode_is_not_enforced(manager, typecode):
    value = manager.Value(typecode, 1)
    assert value.increment(0.5) == 1.5
    assert value.compare_exchange(1.5, "text")
    assert value.value == "text"


def test_wrong_arguments(manager):
    for call in (
        manager.Value("i", 1).compare_exchange,
        manager.dict().increment,
        manager.dict().compare_exchange,
        lambda: manager.Value("i", 1).increment(1, 2),
        lambda: manager.dict().increment("key", 1, 2, 3),
        lambda: manager.dict().increment("key", nonsense=1),
    ):
        with pytest.raises(TypeError):
            call()


# Keys.


@pytest.mark.parametrize("initial", [0, 5, 0.5, LIMIT, -LIMIT, 2**100, decimal.Decimal(2)])
@pytest.mark.parametrize("by", [1, LIMIT, 2**100, decimal.Decimal("0.5")])
def test_a_missing_key(manager, initial, by):
    shared = manager.dict(other=1)
    expected = outcome(operator.add, initial, by)
    found = outcome(lambda: shared.increment("new", by, initial=initial))
    assert found == expected
    assert shared.copy() == ({"other": 1, "new": expected[1]} if expected[0] else {"other": 1})
    if expected[0]:
        assert same(shared["new"], expected[1])


def test_a_missing_key_with_text(manager):
    shared = manager.dict()
    assert shared.increment("t", "ab", initial="") == "ab"
    assert shared.increment("t", LONG, "") == "ab" + LONG
    assert shared.increment("l", [1], []) == [1]
    with pytest.raises(TypeError, match="can only concatenate str"):
        shared.increment("new", initial="text")
    assert list(shared) == ["t", "l"]


def test_a_missing_key_is_never_equal(manager):
    shared = manager.dict()
    for old in (None, 0, "", LONG, 2**100, []):
        assert shared.compare_exchange("key", old, 1) is False
        assert shared.compare_exchange("key", old, LONG) is False
        assert shared.compare_exchange(Colour.RED, old, 1) is False
    assert len(shared) == 0


@pytest.mark.parametrize(
    "keys",
    [
        (1, 1.0, True),
        (0, -0.0, False),
        (2**100, 2.0**100),
        ("key",),
        (LONG,),
        (b"key", b"key"),
        (None,),
        ((1, "x"), (1.0, "x"), (True, "x")),
    ],
)
def test_equal_keys_are_one(manager, keys):
    shared = manager.dict()
    plain: dict = {}
    for number in range(2):
        for key in keys:
            plain[key] = plain.get(key, 10) + number
            assert shared.increment(key, number, 10) == plain[key]
        for key in keys:
            new = (number, LONG)
            assert shared.compare_exchange(key, plain[key], new)
            assert shared.compare_exchange(key, new, plain[key])
    assert repr(shared.copy()) == repr(plain)


def test_a_key_that_is_only_equal_to_one_that_can_be_stored(manager):
    shared = manager.dict({1: 1, "a": 2})
    assert shared.increment(Colour.RED, 5) == 6
    assert shared.increment(Colour.RED, 2**100) == 6 + 2**100
    assert shared.compare_exchange(Colour.RED, 6 + 2**100, LONG)
    assert not shared.compare_exchange(Colour.RED, 0, None)
    assert repr(shared.copy()) == repr({1: LONG, "a": 2})


@pytest.mark.parametrize("key", [[], {}, Unpicklable(), ([],)])
def test_a_key_that_cannot_be_stored(manager, key):
    shared = manager.dict(a=1)
    with pytest.raises(TypeError):
        shared.increment(key)
    assert shared.copy() == {"a": 1}


def test_other_entries_and_their_order_stay(manager):
    shared = manager.dict(a=1, b=[2], c=LONG)
    shared.increment("b", [3])
    shared.increment("a", 2**100)
    shared.compare_exchange("c", LONG, 3)
    shared.increment("new")
    assert list(shared.items()) == [("a", 1 + 2**100), ("b", [2, 3]), ("c", 3), ("new", 1)]


def test_many_new_keys(manager):
    """Entries are made in tables that grow meanwhile."""
    shared = manager.dict()
    plain: collections.Counter = collections.Counter()
    for number in range(3000):
        key = number % 700 if number % 2 else f"a key with the number {number % 500}"
        plain[key] += number
        assert shared.increment(key, number) == plain[key]
    assert shared.copy() == dict(plain)


# What `compare_exchange` takes for equal.

VALUES = [
    None,
    True,
    1,
    1.0,
    0,
    -0.0,
    LIMIT - 1,
    LIMIT,
    float(LIMIT),
    2**100,
    2.0**100,
    math.nan,
    math.inf,
    "",
    "short",
    LONG,
    "\ud800",
    b"",
    b"short",
    b"bytes that do not fit in a word",
    decimal.Decimal(1),
    fractions.Fraction(1),
    [],
    [1],
    (1,),
    {"a": 1},
]


def test_equality_is_that_of_python(cell):
    for stored in VALUES:
        for old in VALUES:
            for new in (2, LONG):
                cell.value = stored
                # What is stored is a copy, so a NaN is not the same object either.
                expected = not (stored is old is math.nan) and bool(stored == old)
                assert cell.compare_exchange(old, new) is expected, (stored, old)
                assert same(cell.value, new if expected else stored), (stored, old)


def test_an_equality_that_fails(cell):
    class Fails:
        def __eq__(self, other):
            raise ArithmeticError(f"{other!r} cannot be compared")

        __hash__ = None

    cell.value = 5
    with pytest.raises(ArithmeticError, match="5 cannot be compared"):
        cell.compare_exchange(Fails(), 1)
    with pytest.raises(TypeError, match="stays where it is"):
        cell.compare_exchange(5, Unpicklable())
    assert cell.value == 5


def test_an_equality_that_changes_the_value(cell):
    """What was computed from an old value is not stored over a new one."""
    cell.value = [0]

    class Meddler:
        asked = 0

        def __eq__(self, other):
            self.asked += 1
            if self.asked == 1:
                cell.value = [1]
            return other == [self.asked - 1]

        __hash__ = None

    meddler = Meddler()
    assert cell.compare_exchange(meddler, "new") is True
    assert (meddler.asked, cell.value) == (2, "new")


def test_a_sum_that_changes_the_value_each_time(cell):
    class Meddler:
        def __radd__(self, other):
            cell.value = other + 1
            return other

    cell.value = 2**100
    with pytest.raises(RuntimeError, match=r"increment: .* changed during each of \d+ attempts"):
        cell.increment(Meddler())
    assert 2**100 < cell.value < 2**100 + 20_000


# Proxies.


def test_nested_proxies_are_left_alone(manager):
    inner = manager.list([1])
    value, shared = manager.Value("i", inner), manager.dict(a=inner)
    for call in (value.increment, lambda: shared.increment("a")):
        with pytest.raises(TypeError):
            call()
    for old in (1, LONG, None, [1]):
        assert not value.compare_exchange(old, 1)
        assert not shared.compare_exchange("a", old, 1)
    inner.append(2)
    assert value.value[:] == shared["a"][:] == [1, 2]


def test_proxies_as_new_values(manager):
    before = manager._number_of_objects()
    value, shared = manager.Value("i", 1), manager.dict(a=1)
    inner = manager.list(["inside"])
    assert value.compare_exchange(1, inner)
    assert shared.compare_exchange("a", 1, {"inner": inner})
    del inner
    assert value.value[0] == shared["a"]["inner"][0] == "inside"
    value.value = shared["a"] = None
    assert subject.objects_left(manager, before + 2) == before + 2


def test_proxies_as_steps(manager):
    """What Python makes of a plain value and a proxy."""
    for start, by in [([1], manager.list([2])), (1, manager.Value("i", 2))]:
        value = manager.Value("i", start)
        assert outcome(value.increment, by) == outcome(operator.add, start, by)


# As methods of the referent.


def test_by_callmethod(manager):
    value, shared = manager.Value("i", 1), manager.dict()
    assert value._callmethod("increment") == 2
    assert value._callmethod("increment", (2,)) == 4
    assert value._callmethod("compare_exchange", (4, LONG)) is True
    assert shared._callmethod("increment", ("a", 2), {"initial": 5}) == 7
    assert shared._callmethod("compare_exchange", ("a", 8, 9)) is False
    with pytest.raises(TypeError, match="can only concatenate str"):
        value._callmethod("increment")


def test_exposed_after_the_names_of_stock():
    from multiprocessing import managers as stock

    for name in ("ValueProxy", "DictProxy"):
        exposed = getattr(subject.managers, name)._exposed_
        assert exposed[-2:] == ("increment", "compare_exchange")
        assert set(getattr(stock, name)._exposed_) <= set(exposed[:-2])


def test_a_proxy_class_that_exposes_less(manager):
    class Plain(subject.managers.ValueProxy):
        _exposed_ = ("get", "set")

    value = manager.Value("i", 1)
    plain = Plain(value._token, "pickle", authkey=manager._authkey)
    with pytest.raises(subject.managers.RemoteError, match="not in exposed"):
        plain._callmethod("increment")
    assert value.value == 1


# Several at once.

EACH = 5_000


def count(value, shared, times, step):
    for _ in range(times):
        value.increment(step)
        shared.increment("count", step)
    return True


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_no_increment_is_lost(manager, processes, method):
    context = multiprocessing.get_context(method)
    value, shared = manager.Value("i", 0), manager.dict()
    started = [processes.start(context, count, value, shared, EACH, 1) for _ in range(4)]
    assert all(child.result() for child in started)
    assert value.value == shared["count"] == 4 * EACH


@pytest.mark.timeout(120)
@pytest.mark.parametrize("slow", [2**100, decimal.Decimal(3), LIMIT // EACH])
def test_fast_and_slow_increments_at_once(manager, processes, slow):
    """One computes in Python, on a copy, while three others add under the lock."""
    value, shared = manager.Value("i", 0), manager.dict()
    steps = [1, 1, 1, slow]
    started = [processes.start(FORK, count, value, shared, EACH, step) for step in steps]
    assert all(child.result(90) for child in started)
    assert value.value == shared["count"] == EACH * (3 + slow)


def exchange(value, shared, times):
    for _ in range(times):
        while True:
            old = value.value
            if value.compare_exchange(old, old + 1):
                break
        while True:
            old = shared["count"]
            if shared.compare_exchange("count", old, old + 1):
                break
    return True


@pytest.mark.parametrize("start", [0, 2**100, decimal.Decimal(0)])
def test_a_counter_of_exchanges(manager, processes, start):
    value, shared = manager.Value("i", start), manager.dict(count=start)
    started = [processes.start(FORK, exchange, value, shared, 1_000) for _ in range(3)]
    assert all(child.result(50) for child in started)
    assert value.value == shared["count"] == start + 3_000


def count_under_a_spin_lock(lock, shared, name, times):
    """The lock is what `compare_exchange` makes of it; the list itself is changed in two steps."""
    for _ in range(times):
        while not lock.compare_exchange(None, name):
            pass
        shared[0] = shared[0] + 1
        assert lock.compare_exchange(name, None)
    return True


@pytest.mark.parametrize("name", ["short", LONG])
def test_a_spin_lock(manager, processes, name):
    lock, shared = manager.Value("i", None), manager.list([0])
    started = [
        processes.start(FORK, count_under_a_spin_lock, lock, shared, f"{number} {name}", 500)
        for number in range(3)
    ]
    assert all(child.result(50) for child in started)
    assert shared[0] == 1_500
    assert lock.value is None


def test_threads_of_one_process(manager):
    value, shared = manager.Value("i", 0), manager.dict()
    steps = [1, 1, 2**100, fractions.Fraction(1, 2)]
    threads = [threading.Thread(target=count, args=(value, shared, 1_000, step)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value.value == shared["count"] == 1_000 * sum(steps)


def append_letters(shared, letter, times):
    for _ in range(times):
        shared.increment("text", letter, "")
    return True


def test_no_letter_is_lost(manager, processes):
    shared = manager.dict()
    started = [processes.start(FORK, append_letters, shared, letter, 500) for letter in "abc"]
    assert all(child.result(50) for child in started)
    assert collections.Counter(shared["text"]) == dict.fromkeys("abc", 500)
