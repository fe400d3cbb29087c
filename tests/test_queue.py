"""Queues: sizes, times, order, what becomes of items, shutting down."""

from __future__ import annotations

import logging
import logging.handlers
import multiprocessing
import queue
import sys
import threading

import marks
import pytest
import subject

FORK = multiprocessing.get_context("fork")

if not subject.IS_STOCK:
    from coheld import ShutDown

# Long enough for any machine; reached only when something hangs.
LONG = 40


@pytest.fixture(params=["Queue", "JoinableQueue"])
def make(manager, request):
    """Makes queues of both names, which are the same in all but that."""
    return getattr(manager, request.param)


def in_thread(function, *args):
    """Runs a function in a thread; returns a function that waits for its result or exception."""
    outcome = []

    def run():
        try:
            outcome.append((True, function(*args)))
        except Exception as problem:
            outcome.append((False, problem))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result():
        thread.join(LONG)
        assert not thread.is_alive(), f"{function} did not come back"
        fine, answer = outcome[0]
        if fine:
            return answer
        raise answer

    return result


# Order and size.


def test_first_in_first_out(make):
    line = make()
    for number in range(1000):
        line.put(number)
    assert line.qsize() == 1000
    assert [line.get() for _ in range(1000)] == list(range(1000))
    assert line.empty()


def test_order_while_items_come_and_go(make):
    line, expected = make(7), 0
    for number in range(500):
        if line.full():
            for _ in range(number % 7 + 1):
                assert line.get() == expected
                expected += 1
        line.put(number)
    while not line.empty():
        assert line.get() == expected
        expected += 1
    assert expected == 500


def test_maxsize(make):
    line = make(2)
    line.put("a")
    assert not line.full()
    line.put("b")
    assert line.full()
    for attempt in (
        lambda: line.put_nowait("c"),
        lambda: line.put("c", False),
        lambda: line.put("c", True, 0),
        lambda: line.put("c", True, 0.01),
        lambda: line.put("c", timeout=0.01),
    ):
        with pytest.raises(queue.Full) as caught:
            attempt()
        assert caught.value.args == ()
    assert [line.get(), line.get()] == ["a", "b"]


@pytest.mark.parametrize("size", [0, -1, -100])
def test_no_maxsize(make, size):
    line = make(size)
    for number in range(100):
        line.put(number, False)
    assert not line.full()
    assert line.qsize() == 100


def test_empty(make):
    line = make()
    for attempt in (
        lambda: line.get_nowait(),
        lambda: line.get(False),
        lambda: line.get(True, 0),
        lambda: line.get(True, 0.01),
        lambda: line.get(timeout=0.01),
    ):
        with pytest.raises(queue.Empty) as caught:
            attempt()
        assert caught.value.args == ()


# Waiting.


def test_get_waits_for_an_item(make):
    line = make()
    waiting = in_thread(line.get)
    timed = in_thread(line.get, True, LONG)
    line.put("one")
    line.put("two")
    assert {waiting(), timed()} == {"one", "two"}


def test_put_waits_for_room(make):
    line = make(1)
    line.put(0)
    puts = [in_thread(line.put, number) for number in range(1, 4)]
    got = {line.get(timeout=LONG) for _ in range(4)}
    for done in puts:
        done()
    assert got == {0, 1, 2, 3}


def test_join_waits_for_all_tasks(make):
    line = make()
    for number in range(3):
        line.put(number)
    joined = in_thread(line.join)
    for _ in range(3):
        line.get()
        line.task_done()
    joined()
    with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
        line.task_done()
    line.join()


def test_getting_is_not_being_done(make):
    line = make()
    line.put(1)
    line.get()
    finished = []
    thread = threading.Thread(target=lambda: finished.append(line.join()))
    thread.start()
    thread.join(0.1)
    assert finished == []
    line.task_done()
    thread.join(LONG)
    assert finished == [None]


# Items.


ITEMS = [
    None,
    True,
    -1,
    2**200,
    1.5,
    "",
    "text " * 1000,
    "\ud800",
    b"bytes",
    (1, ("nested", [2])),
    {"key": {1, 2}},
    ValueError("an exception"),
    logging.INFO,
]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: repr(item)[:20])
def test_any_item(make, item):
    line = make()
    line.put(item)
    got = line.get()
    assert type(got) is type(item)
    assert repr(got) == repr(item)


def test_items_are_copies(make):
    line, item = make(), [1]
    line.put(item)
    item.append(2)
    assert line.get() == [1]


def test_item_that_cannot_be_pickled(make):
    line = make()
    with pytest.raises(Exception, match="pickle"):
        line.put(threading.Lock())
    assert line.empty()
    with pytest.raises(queue.Empty):
        line.get_nowait()


def test_proxies_as_items(manager, make):
    line = make()
    members = manager.list([1]), manager.dict(a=1), manager.Lock(), manager.Event(), manager.Queue()
    for member in members:
        line.put(member)
    line.put({"inside": members[0], "list": [members[1]]})
    for member in members:
        got = line.get()
        assert type(got) is type(member)
        assert got._id == member._id
    last = line.get()
    last["inside"].append(2)
    last["list"][0]["b"] = 2
    assert members[0][:] == [1, 2]
    assert members[1].copy() == {"a": 1, "b": 2}


@marks.coheld_only
def test_a_queue_keeps_its_items_alive(manager):
    line = manager.Queue()
    line.put(manager.list(["kept"]))
    line.put([manager.dict(kept=True)])
    assert subject.objects_left(manager, 3) == 3
    assert line.get()[:] == ["kept"]
    assert line.get()[0].copy() == {"kept": True}
    assert subject.objects_left(manager, 1) == 1
    del line
    assert subject.objects_left(manager) == 0


@marks.coheld_only
def test_items_go_with_their_queue(manager):
    line = manager.Queue()
    for _ in range(100):
        line.put(manager.list([manager.dict()]))
    del line
    assert subject.objects_left(manager) == 0


def test_queue_of_queues(manager):
    tower = manager.Queue()
    tower.put("bottom")
    for _ in range(20):
        above = manager.Queue()
        above.put(tower)
        tower = above
    for _ in range(20):
        tower = tower.get()
    assert tower.get() == "bottom"


@pytest.mark.timeout(120)
@marks.coheld_only
def test_hundred_thousand_items(make):
    line = make()
    for number in range(100_000):
        line.put((number, "x" * (number % 50)))
    assert line.qsize() == 100_000
    for number in range(100_000):
        assert line.get() == (number, "x" * (number % 50))
        line.task_done()
    assert line.empty()
    line.join()


@marks.coheld_only
def test_large_items(manager):
    line = manager.Queue(3)
    items = [bytes([number]) * (64 << 20) for number in range(3)]
    for item in items:
        line.put(item)
    del item
    for number in range(3):
        got = line.get()
        assert len(got) == 64 << 20
        assert got == items[number]
    line.put(["x" * (16 << 20), b"y" * (16 << 20)])
    first, second = line.get()
    assert (len(first), len(second)) == (16 << 20, 16 << 20)


@marks.coheld_only
def test_a_segment_that_is_full():
    import coheld

    with coheld.Manager(ctx=FORK, capacity=64 << 20) as manager:
        line = manager.Queue()
        line.put("before")
        with pytest.raises(coheld.OutOfMemory):
            while True:
                line.put(b"x" * (4 << 20))
        count = line.qsize()
        assert line.get() == "before"
        for _ in range(count - 1):
            assert len(line.get()) == 4 << 20
        line.put(b"room again" * 100_000)
        assert line.qsize() == 1


# Shutting down, as queue.Queue does it from 3.13 on.


@marks.coheld_only
def test_shut_down_queue_gives_what_it_has(make):
    line = make()
    line.put(1)
    line.put(2)
    line.shutdown()
    for attempt in (
        lambda: line.put(3),
        lambda: line.put_nowait(3),
        lambda: line.put(3, timeout=LONG),
    ):
        with pytest.raises(ShutDown) as caught:
            attempt()
        assert caught.value.args == ()
    assert [line.get(), line.get_nowait()] == [1, 2]
    for attempt in (
        line.get,
        line.get_nowait,
        lambda: line.get(timeout=LONG),
    ):
        with pytest.raises(ShutDown):
            attempt()
    line.task_done()
    line.task_done()
    line.join()


@marks.coheld_only
def test_shut_down_at_once(make):
    line = make()
    for number in range(5):
        line.put(number)
    assert line.get() == 0
    joined = in_thread(line.join)
    line.shutdown(immediate=True)
    assert line.qsize() == 0
    with pytest.raises(ShutDown):
        line.get()
    with pytest.raises(ShutDown):
        line.put(1)
    # The item that is being worked on is still to be done.
    line.task_done()
    joined()
    with pytest.raises(ValueError, match="too many times"):
        line.task_done()


@marks.coheld_only
@pytest.mark.parametrize("immediate", [False, True])
def test_shutting_down_wakes_who_waits(make, immediate):
    line, full = make(), make(1)
    full.put(1)
    waiting = [in_thread(line.get) for _ in range(3)] + [in_thread(line.get, True, LONG)]
    waiting += [in_thread(full.put, 2) for _ in range(3)] + [in_thread(full.put, 2, True, LONG)]
    line.shutdown(immediate)
    full.shutdown(immediate)
    for result in waiting:
        with pytest.raises(ShutDown):
            result()
    assert full.qsize() == (0 if immediate else 1)


@marks.coheld_only
def test_shut_down_twice(make):
    line = make(1)
    line.put(1)
    line.shutdown()
    line.shutdown()
    assert line.qsize() == 1
    line.shutdown(True)
    assert line.qsize() == 0
    line.shutdown()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="queue.Queue.shutdown is new in 3.13")
def test_shut_down_as_the_running_python_does(manager):
    for immediate in (False, True):
        outcomes = []
        for line in (queue.Queue(), manager.Queue()):
            seen = []
            line.put(1)
            line.put(2)
            line.get()
            line.shutdown(immediate)
            for attempt in (
                lambda line=line: line.put(3),
                line.get_nowait,
                line.get_nowait,
                line.task_done,
                line.task_done,
                line.task_done,
                line.qsize,
                line.full,
            ):
                try:
                    seen.append(attempt())
                except Exception as problem:
                    seen.append((type(problem), str(problem)))
            outcomes.append(seen)
        assert outcomes[0] == outcomes[1]


# How programs use queues.


def test_logging(manager):
    line = manager.Queue()
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append(record.getMessage())

    listener = logging.handlers.QueueListener(line, Keep())
    listener.start()
    logger = logging.Logger("test")
    logger.addHandler(logging.handlers.QueueHandler(line))
    for number in range(20):
        logger.warning("message %d", number)
    listener.stop()
    assert records == [f"message {number}" for number in range(20)]
