"""Calls of objects that live in the manager process: what goes there, and what comes back."""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import threading
import time

import hosted_echo
import marks
import pytest
from subject import managers

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def hosting():
    with hosted_echo.Managers(ctx=FORK) as started:
        yield started


@pytest.fixture
def echo(hosting):
    return hosting.Echo()


# Values.

VALUES = [
    None,
    True,
    False,
    *(sign * number for number in (0, 1, 255, 256, 65_535, 65_536) for sign in (1, -1)),
    *((1 << bits) - one for bits in (31, 32, 63, 64, 200) for one in (0, 1)),
    *(-(1 << bits) - one for bits in (31, 32, 63, 64, 200) for one in (0, 1)),
    0.5,
    -0.0,
    math.inf,
    "",
    "text",
    "\0\x7f\x80\u07ff\u0800\uffff\U0010ffff",
    "a lone surrogate \udc80",
    "x" * 255,
    "x" * 256,
    "\xe4" * 70_000,
    b"",
    bytes(range(256)),
    b"x" * 255,
    b"x" * 70_000,
    (),
    (1,),
    (1, "two"),
    (1, 2.5, b"3"),
    (1, 2, 3, 4),
    ((), ((), ((1,), 2)), "x"),
    tuple(range(1000)),
    [1, [2, (3, [4])]],
    {"key": {1: (2,)}},
    {1, 2},
    frozenset((1,)),
    bytearray(b"bytes"),
    range(7),
    1j,
    ValueError("an exception", 7),
]


def nested(depth):
    value = ()
    for _ in range(depth):
        value = (value,)
    return value


@pytest.mark.parametrize("value", [*VALUES, nested(15), nested(16), nested(17), nested(100)])
def test_values_come_back_as_they_went(echo, value):
    back = echo.same(value)
    assert type(back) is type(value)
    if isinstance(value, Exception):
        assert back.args == value.args
    else:
        assert back == value and repr(back) == repr(value)
    (inside,), kwds = echo.both(value)
    assert type(inside) is type(value) and kwds == {}


def test_not_a_number(echo):
    assert math.isnan(echo.same(math.nan))


def test_values_arrive_as_what_they_are(echo):
    values = [True, 1, 1.0, "1", b"1", (1,), [1], {1: 1}]
    assert echo.describe(*values) == [(type(value).__name__, repr(value)) for value in values]


class Number(int):
    """A subclass of int, which must not become one."""


class Text(str):
    pass


class Pair(tuple):
    pass


def test_subclasses_stay_what_they_are(echo):
    for value in (Number(5), Text("text"), Pair((1, 2)), (Number(6),)):
        back = echo.same(value)
        assert type(back) is type(value) and back == value
    assert type(echo.same((Number(6),))[0]) is Number


def test_arguments_with_names(echo):
    assert echo.both() == ((), {})
    assert echo.both(1, "2", three=3, four=[4]) == ((1, "2"), {"three": 3, "four": [4]})
    assert echo._callmethod("both", [1, 2], {"x": 3}) == ((1, 2), {"x": 3})
    assert echo._callmethod("both") == ((), {})


def test_arguments_and_results_are_copies(echo):
    items = ["mine"]
    assert echo.append(items) == ["mine", "changed by the method"]
    assert items == ["mine"]


def test_large_messages(echo):
    for size in (100, 4_000, 100_000, 30_000_000):
        assert echo.length(b"x" * size) == size
        assert len(echo.make(size)) == size
        assert echo.same("y" * size) == "y" * size
        assert echo.same(5) == 5


@marks.coheld_only
def test_no_memory_is_left_behind(hosting, echo):
    for size in (50_000, 3_000_000):
        echo.same(b"x" * size)
        before = hosting._statistics()
        for _ in range(20):
            echo.same(b"x" * size)
        assert hosting._statistics()["blocks"] <= before["blocks"]


@marks.coheld_only
def test_messages_without_room_for_them():
    with hosted_echo.Managers(ctx=FORK, capacity=64 << 20) as hosting:
        echo = hosting.Echo()
        with pytest.raises(MemoryError):
            echo.length(b"x" * (100 << 20))
        assert echo.same(5) == 5
        # A reply that does not fit is the caller's to know of.
        with pytest.raises((MemoryError, managers.RemoteError)):
            echo.make(100 << 20)
        assert echo.same(5) == 5


def test_proxies_in_arguments_and_results(hosting, echo):
    items = hosting.list([1])
    back = echo.same([items, {"deep": (echo, items)}])
    back[0].append(2)
    assert list(items) == list(back[1]["deep"][1]) == [1, 2]
    assert back[1]["deep"][0].process() == echo.process() != os.getpid()


# Errors.


def test_arguments_that_cannot_be_pickled_are_not_sent(echo):
    assert echo.count() == 1
    with pytest.raises(RuntimeError, match="^this is not for others$"):
        echo.count(hosted_echo.Refusing())
    with pytest.raises(RuntimeError, match="^this is not for others$"):
        echo.same([1, (hosted_echo.Refusing(),)])
    assert echo.count() == 2


@marks.coheld_only
def test_exceptions_that_cannot_be_made_again(echo):
    with pytest.raises(managers.RemoteError) as caught:
        echo.raise_kind(hosted_echo.NeedsTwo, "one", "two")
    assert "in raise_kind" in str(caught.value) and "NeedsTwo: one" in str(caught.value)
    assert echo.same(1) == 1


@marks.coheld_only
def test_the_end_of_a_thread_is_not_that_of_its_channel(echo):
    """Stock's thread ends by it, and every later call of the client's thread fails."""
    thread = echo.thread()
    for kind in (SystemExit, KeyboardInterrupt, GeneratorExit):
        with pytest.raises(managers.RemoteError, match=kind.__name__):
            echo.raise_kind(kind)
    with pytest.raises(managers.RemoteError, match="SystemExit: 3"):
        echo.leave(3)
    assert echo.thread() == thread


# Threads.


def test_each_thread_has_a_thread(echo):
    """What a method keeps for its thread is there again in the next call of the same thread."""
    found = {}
    done = threading.Barrier(5)

    def work(number):
        echo.local(f"value {number}")
        done.wait(30)
        threads = {echo.thread() for _ in range(50)}
        found[number] = (threads, echo.local(), echo.thread_is_known())
        done.wait(30)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    done.wait(30)
    done.wait(30)
    for thread in threads:
        thread.join()
    used = [found[number][0] for number in range(4)]
    assert [len(one) for one in used] == [1] * 4 and len(set.union(*used)) == 4
    assert [found[number][1:] for number in range(4)] == [
        (f"value {number}", True) for number in range(4)
    ]


def test_many_threads_get_their_own_answers(echo):
    problems = []

    def work(number):
        generator = random.Random(number)
        for step in range(150):
            value = (number, step, "x" * generator.choice((1, 50, 3_000, 40_000)))
            if echo.same(value) != value:
                problems.append(value[:2])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []


def test_calls_of_one_object_overlap(echo):
    start = time.monotonic()
    threads = [threading.Thread(target=echo.sleep, args=(0.5,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - start < 2


def test_other_threads_run_while_one_waits(echo):
    steps = []
    waiting = threading.Thread(target=echo.sleep, args=(0.5,))
    waiting.start()
    while waiting.is_alive():
        steps.append(None)
        time.sleep(0.01)
    assert len(steps) > 10


# Time limits.


@marks.coheld_only
def test_a_call_that_takes_too_long(echo):
    import coheld

    start = time.monotonic()
    with pytest.raises(TimeoutError, match="^'sleep' did not return within 0.2 s") as caught:
        echo._callmethod("sleep", (30, "late"), timeout=0.2)
    assert isinstance(caught.value, coheld.CoheldError)
    assert time.monotonic() - start < 10
    # The answer that comes late is nobody's.
    with pytest.raises(TimeoutError):
        echo._callmethod("sleep", (0.3, "late"), timeout=0.05)
    for number in range(100):
        assert echo.same(number) == number
    assert echo._callmethod("sleep", (0.1, "fine"), timeout=30) == "fine"
    assert echo._callmethod("sleep", (0.1, "fine"), timeout=math.inf) == "fine"
    assert echo._callmethod("sleep", (0.1, "fine"), timeout=None) == "fine"
    for nonsense in (-1, math.nan):
        with pytest.raises(ValueError, match="a call cannot have"):
            echo._callmethod("same", (1,), timeout=nonsense)
    with pytest.raises(TypeError):
        echo._callmethod("same", (1,), timeout="5")


@marks.coheld_only
def test_the_limit_of_a_thread(echo):
    from coheld import _coheld

    assert _coheld.call_limit(0.2) is None
    try:
        with pytest.raises(TimeoutError):
            echo.sleep(1)
        assert echo._callmethod("sleep", (0.4, "given more time"), timeout=5) == "given more time"
        seen = []
        other = threading.Thread(target=lambda: seen.append(echo.sleep(0.4, "another thread")))
        other.start()
        other.join()
        assert seen == ["another thread"]
    finally:
        assert _coheld.call_limit(None) == 0.2
    assert echo.sleep(0.4, "no limit") == "no limit"
