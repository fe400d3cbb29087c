"""Values, keys and indices at or beyond their limits: what Python gives, and nothing lost."""

from __future__ import annotations

import datetime
import math
import os
import pickle
import signal
import threading

import marks
import pytest
import subject
from subject import managers

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30


def available_memory() -> int:
    """Bytes this machine can still give, as the kernel estimates it."""
    with open("/proc/meminfo") as information:
        for line in information:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


# Values.


UNPICKLABLE = [lambda: None, threading.Lock(), memoryview(b""), (item for item in "abc")]


@pytest.mark.parametrize("value", UNPICKLABLE, ids=lambda value: type(value).__name__)
def test_unpicklable_value(manager, value):
    shared, table = manager.list([1]), manager.dict(a=1)
    try:
        pickle.dumps(value)
    except Exception as problem:
        expected = type(problem)
    else:
        return  # Newer versions of Python pickle more.
    for attempt in (
        lambda: shared.append(value),
        lambda: shared.__setitem__(0, value),
        lambda: shared.insert(0, [value]),
        lambda: shared.extend([1, 2, value]),
        lambda: table.__setitem__("b", value),
        lambda: table.update(b=2, c=value),
        lambda: manager.Value("i", 0).set(value),
    ):
        with pytest.raises(expected):
            attempt()
    assert shared[:] == [1] and table.copy() == {"a": 1}


class PicklesButDoesNotUnpickle:
    def __reduce__(self):
        return int, ("no number",)


def test_value_that_cannot_be_unpickled(manager):
    """Stock fails when storing it, Coheld when somebody reads it; nothing else is harmed."""
    shared = manager.list([1, 2])
    with pytest.raises((ValueError, managers.RemoteError)):
        shared.append(PicklesButDoesNotUnpickle())
        shared[2]
    assert shared[0] == 1 and shared[1] == 2
    del shared[2:]
    assert shared[:] == [1, 2]


class AtHome:
    """A value that can be unpickled only where it was pickled."""

    def __reduce__(self):
        return at_home, (os.getpid(),)


def at_home(pid):
    if os.getpid() != pid:
        raise LookupError("not at home")
    return AtHome()


@marks.coheld_only
def test_value_that_the_manager_process_cannot_unpickle(manager):
    """A dict that would have to move for a key stays in shared memory, with all that it has."""
    odd = datetime.date(2024, 2, 29)
    shared, other = manager.dict(a=1, b=AtHome()), manager.dict(a=1, b=AtHome())
    for attempt in (
        lambda: shared.__setitem__(odd, 1),
        lambda: shared.update({"d": 1, odd: 2}),
        lambda: shared.setdefault(odd),
        lambda: other.increment(odd),
    ):
        with pytest.raises(managers.RemoteError, match="LookupError: not at home"):
            attempt()
    # Without the value it moves.
    del other["b"]
    other[odd] = 1
    assert other.copy() == {"a": 1, odd: 1} and manager._number_of_objects() == 2
    os.kill(manager._process.pid, signal.SIGKILL)
    manager._process.join()
    shared["c"] = 3
    assert list(shared) == ["a", "b", "c"] and type(shared["b"]) is AtHome


def test_list_put_into_itself(manager):
    shared = manager.list([1])
    shared.append(shared)
    assert shared[1]._id == shared._id
    assert shared[1][1][1][0] == 1
    assert subject.without_addresses(str(shared)) == (
        "[1, <ListProxy object, typeid 'list' at 0x...>]"
    )
    shared.pop()
    assert shared[:] == [1]


def test_local_list_that_holds_itself(manager):
    circle: list = [1]
    circle.append(circle)
    shared = manager.list([circle])
    copy = shared[0]
    assert copy[0] == 1 and copy[1] is copy


def test_value_nested_too_deeply(manager):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    shared = manager.list([1])
    with pytest.raises(RecursionError):
        shared.append(deep)
    assert shared[:] == [1]
    while deep:
        deep = deep.pop()


@pytest.mark.timeout(180)
def test_value_of_a_gibibyte(manager):
    # The value, its copy in the segment (or on its way through the socket), and what comes back.
    if available_memory() < 6 * GIBIBYTE:
        pytest.skip("needs 6 GiB of free memory")
    huge = b"\xa5" * GIBIBYTE
    shared = manager.dict(small=1)
    shared["huge"] = huge
    assert shared["huge"] == huge
    del shared["huge"]
    assert shared.copy() == {"small": 1}


@pytest.mark.timeout(180)
def test_item_of_a_gibibyte(manager):
    if available_memory() < 6 * GIBIBYTE:
        pytest.skip("needs 6 GiB of free memory")
    huge = b"\x5a" * GIBIBYTE
    line = manager.Queue(2)
    line.put("before")
    line.put(huge)
    assert line.full()
    assert line.get() == "before"
    assert line.get() == huge
    assert line.empty()


@pytest.mark.parametrize("digits", [20, 4000, 10_000, 100_000])
@pytest.mark.parametrize("sign", [1, -1])
def test_ints_of_many_digits(manager, digits, sign):
    number = sign * (10**digits - 7)
    shared = manager.list([number])
    assert shared[0] == number and number in shared and shared.index(number) == 0
    table = manager.dict({number: number})
    assert table[number] == number and table.keys() == [number]


@pytest.mark.parametrize(
    "number", [0, -1, 2**59 - 1, 2**59, -(2**59), -(2**59) - 1, 2**63, -(2**63), 2**64, 2**127]
)
def test_ints_at_the_limits(manager, number):
    shared = manager.list([number])
    assert shared[0] == number and type(shared[0]) is int
    assert manager.dict({number: None}).keys() == [number]
    assert manager.Value("q", number).value == number


FLOATS = [0.0, -0.0, 1.5, -1.5, 5e-324, 2.2e-308, 1.7e308, math.inf, -math.inf, 2.0**53, 2.0**70]


@pytest.mark.parametrize("number", FLOATS)
def test_floats_keep_every_bit(manager, number):
    assert manager.list([number])[0].hex() == number.hex()
    assert manager.Value("d", number).value.hex() == number.hex()
    assert manager.dict({number: 1}).keys()[0].hex() == number.hex()


TEXTS = {
    "empty": "",
    "seven bytes": "1234567",
    "eight bytes": "12345678",
    "umlauts": "\u00e4\u00f6\u00fc",
    "null characters": "\x00" * 9,
    "beyond the first plane": "\U0001f600" * 3,
    "a lone surrogate": "\ud800",
    "lone surrogates inside": "a\udc80b\udfff" * 10,
    "long": "x" * MEBIBYTE,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_texts_as_values_and_keys(manager, text):
    assert manager.list([text])[0] == text
    table = manager.dict({text: text})
    assert table[text] == text and table.keys() == [text] and text in table
    assert table.pop(text) == text and len(table) == 0


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, MEBIBYTE])
def test_bytes_as_values_and_keys(manager, size):
    blob = os.urandom(size)
    assert manager.list([blob])[0] == blob
    table = manager.dict({blob: 1})
    assert table[blob] == 1 and table.keys() == [blob]
    assert manager.list([bytearray(blob)])[0] == bytearray(blob)


@pytest.mark.timeout(120)
def test_key_of_64_mebibytes(manager):
    key = "k" * (64 * MEBIBYTE)
    shared = manager.dict({key: 1})
    assert shared[key] == 1 and key[:-1] not in shared
    del shared[key]
    assert len(shared) == 0


# Keys.


def test_nan_as_a_key(manager):
    """Each NaN that arrives is another object, so none of them is ever found again."""
    shared = manager.dict()
    shared[math.nan] = 1
    shared[math.nan] = 2
    assert len(shared) == 2 and math.nan not in shared
    assert shared.get(math.nan, "none") == "none"
    with pytest.raises(KeyError):
        del shared[math.nan]
    assert shared.values() == [1, 2]
    shared.clear()
    shared[(1, math.nan)] = 3
    assert (1, math.nan) not in shared


@pytest.mark.parametrize("key", [[], {}, set(), [1], ([],), (1, {2: 3})], ids=repr)
def test_unhashable_keys(manager, key):
    shared = manager.dict(a=1)
    with pytest.raises(TypeError) as expected:
        {}[key] = 1
    for attempt in (
        lambda: shared.__setitem__(key, 1),
        lambda: shared[key],
        lambda: shared.get(key),
        lambda: shared.pop(key),
        lambda: shared.pop(key, None),
        lambda: shared.setdefault(key, 1),
        lambda: shared.__delitem__(key),
        lambda: key in shared,
    ):
        with pytest.raises(TypeError) as caught:
            attempt()
        assert "unhashable type" in str(caught.value)
    assert str(expected.value).startswith(("unhashable type", "cannot use"))
    assert shared.copy() == {"a": 1}


@marks.coheld_only
@pytest.mark.parametrize("key", [frozenset({1}), 1 + 2j, range(3), int, (1, frozenset())], ids=repr)
def test_keys_that_only_one_process_can_compare(manager, key):
    """Keys are compared by their bytes; for a key without such a form the manager process has to
    compare them (tests/test_moving_keys.py)."""
    shared, other = manager.dict(a=1), manager.set(["a"])
    shared[key] = 1
    other.add(key)
    assert shared.copy() == {"a": 1, key: 1} and other.copy() == {"a", key}


# Indices.

HUGE = [2**31, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**64), 10**100]


@pytest.mark.parametrize("index", HUGE)
def test_huge_indices(manager, index):
    local = [1, 2, 3]
    shared = manager.list(local)
    for attempt in (
        lambda target: target[index],
        lambda target: target.__setitem__(index, 0),
        lambda target: target.__delitem__(index),
        lambda target: target.pop(index),
        lambda target: target[:index],
        lambda target: target[index:],
        lambda target: target[::index],
        lambda target: target.index(3, index),
        lambda target: target.index(3, 0, index),
    ):
        results = []
        for target in (local, shared):
            try:
                results.append(attempt(target))
            except Exception as problem:
                results.append((type(problem), str(problem)))
        assert results[0] == results[1]
    assert shared[:] == local == [1, 2, 3]


@pytest.mark.parametrize("factor", [2**40, 2**62, 2**64])
def test_huge_repetition(manager, factor):
    shared = manager.list([1, 2, 3])
    if subject.IS_STOCK and factor == 2**40:
        pytest.skip("the stock manager would really try")
    with pytest.raises((MemoryError, OverflowError)):
        shared *= factor
    assert shared[:] == [1, 2, 3]
    assert manager.list()[:] * factor == [] if factor < 2**63 else True


def test_changing_dict_while_iterating(manager):
    shared = manager.dict({number: number for number in range(10)})
    with pytest.raises(RuntimeError, match="changed size during iteration"):
        for key in shared:
            del shared[key]
    assert len(shared) == 9
    with pytest.raises(RuntimeError, match="changed size during iteration"):
        for key in shared:
            shared.clear()
    for key in shared:
        raise AssertionError(f"an empty dict gave {key}")


def test_values_may_change_while_iterating(manager):
    shared = manager.dict({number: number for number in range(10)})
    for key in shared:
        shared[key] = -key
    assert shared.values() == [-number for number in range(10)]


def test_shrinking_list_while_iterating(manager):
    shared = manager.list(range(10))
    seen = []
    for item in shared:
        seen.append(item)
        shared.pop()
    assert seen == [0, 1, 2, 3, 4]
