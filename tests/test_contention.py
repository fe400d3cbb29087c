"""What threads, signal handlers and forks do to operations that wait for each other.

Each test stands for a defect that was found: see the first lines of each.
"""

from __future__ import annotations

import collections
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import marks
import pytest
import subject

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")
LONG = 60


@pytest.fixture(scope="module")
def manager():
    started = subject.start_manager()
    yield started
    started.shutdown()


def read_all(shared):
    while True:
        len(shared[:])


@contextlib.contextmanager
def reader_of(shared):
    """A process that holds the lock of a long list most of the time."""
    reader = FORK.Process(target=read_all, args=(shared,), daemon=True)
    reader.start()
    try:
        yield
    finally:
        reader.kill()
        reader.join()


MANY_THREADS = """
import sys, threading, coheld

with coheld.Manager() as manager:
    shared = manager.list(range(200_000))

    def work():
        for number in range(200):
            shared.append(b"needs a block of its own: %d" % number)

    def read():
        while not done.is_set():
            len(shared[:])

    done = threading.Event()
    reader = threading.Thread(target=read)
    threads = [threading.Thread(target=work) for _ in range(40)]
    for thread in (reader, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()
    print(len(shared) - 200_000)
"""


@pytest.mark.timeout(150)
def test_more_threads_than_lanes():
    """A thread that found no lane kept the interpreter, which those who had one waited for."""
    done = subprocess.run(
        [sys.executable, "-c", MANY_THREADS], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "8000\n", "")


def fork_from_handlers(shared, forks, items, told):
    """Append while a timer forks: the children are in the middle of the same append.

    The timer is set anew after each fork: one that repeats by itself goes off within the handler
    where a fork takes longer than its interval, and then again and again.
    """
    parent, children = os.getpid(), []

    def handler(*_):
        if os.getpid() == parent and len(children) < forks:
            child = os.fork()
            if child:
                children.append(child)
                signal.setitimer(signal.ITIMER_REAL, 0.02)

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    number = 0
    try:
        while len(children) < forks:
            shared.append(b"%08d" % number + b"x" * 200)
            number += 1
            if os.getpid() != parent:
                os._exit(0)
    except BaseException:
        # "a signal handler forked this process in the middle of an operation".
        os._exit(0 if os.getpid() != parent else 1)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for child in children:
        os.waitpid(child, 0)
    told.put(number)


@pytest.mark.timeout(180)
def test_forks_in_the_middle_of_an_operation(manager):
    """Parent and child went on with one operation: both stored the same block."""
    size = 300_000
    shared, told = manager.list(range(size)), manager.Queue()
    with reader_of(shared):
        worker = FORK.Process(target=fork_from_handlers, args=(shared, 25, size, told))
        worker.start()
        try:
            number = told.get(timeout=LONG)
            worker.join(LONG)
        finally:
            status = worker.exitcode
            worker.kill()
            worker.join()
    assert status == 0
    tail = shared[size:]
    counts = collections.Counter(item[:8] for item in tail)
    assert set(counts) >= {b"%08d" % item for item in range(number)}
    assert all(item[8:] == b"x" * 200 for item in tail)
    # What stands there twice are two items: to replace one leaves the other as it is.
    places: dict = {}
    for place, item in enumerate(tail):
        places.setdefault(item[:8], []).append(place)
    filler = manager.list()
    for first, *others in (found for found in places.values() if len(found) > 1):
        before = [shared[size + place] for place in others]
        shared[size + first] = 0
        filler.extend([b"NEW" + b"z" * 205 for _ in range(3)])
        assert [shared[size + place] for place in others] == before
    assert manager._statistics()["blocks"] > 0


def hold_for_a_while(lock, held, go_on):
    with lock:
        held.set()
        go_on.wait(LONG)


def acquire_and_fork(lock, inside, most, go_on, done):
    """Acquire a lock that is held; while waiting, a signal handler forks."""
    parent = os.getpid()

    def handler(*_):
        if os.fork():
            go_on.set()

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    lock.acquire()
    most.append(inside.increment())
    time.sleep(0.3)
    inside.increment(-1)
    lock.release()
    done.put("parent" if os.getpid() == parent else "child")
    os._exit(0)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ("Lock", "RLock", "Semaphore"))
def test_a_fork_while_waiting_makes_two_waiters(manager, kind):
    """The child took the lock in the parent's name, beside the parent."""
    lock = getattr(manager, kind)()
    held, go_on, done = manager.Event(), manager.Event(), manager.Queue()
    inside, most = manager.Value("i", 0), manager.list()
    holder = FORK.Process(target=hold_for_a_while, args=(lock, held, go_on))
    holder.start()
    assert held.wait(LONG)
    worker = FORK.Process(target=acquire_and_fork, args=(lock, inside, most, go_on, done))
    worker.start()
    assert {done.get(timeout=LONG), done.get(timeout=LONG)} == {"parent", "child"}
    for process in (holder, worker):
        process.join(LONG)
        assert process.exitcode == 0
    assert most[:] == [1, 1]
    assert lock.acquire(timeout=LONG) is True
    lock.release()


class Slow:
    """A number whose sum takes a while."""

    def __init__(self, number):
        self.number = number

    def __add__(self, other):
        time.sleep(0.001)
        return Slow(self.number + other)

    def __eq__(self, other):
        return self.number == other.number

    def __hash__(self):
        return hash(self.number)


@pytest.mark.timeout(120)
def test_slow_sums_of_many_threads(manager):
    """Five lost races were taken for a callback that changes the object."""
    shared = manager.Value("O", Slow(0))
    threads = [
        threading.Thread(target=lambda: [shared.increment() for _ in range(20)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared.value.number == 160


def notify_and_die(condition):
    condition.acquire()
    condition.notify()
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ("Semaphore", "Lock"))
def test_a_wait_ends_with_the_lock_also_when_deaths_are_errors(kind):
    """A condition over a semaphore lost its permit, and its release made one too many."""
    from coheld.managers import SyncManager

    with SyncManager(owner_died="error") as manager:
        lock = getattr(manager, kind)()
        condition = manager.Condition(lock)
        worker = FORK.Process(target=notify_and_die, args=(condition,))
        with pytest.warns(Warning, match="died"), condition:
            worker.start()
            assert condition.wait(LONG)
        worker.join(LONG)
        assert [lock.acquire(False), lock.acquire(False)] == [True, False]


def wait_for_notification(condition, told, name):
    with condition:
        told.put("waits")
        if condition.wait(LONG):
            told.put(name)


@pytest.mark.timeout(120)
def test_a_notified_process_that_dies_before_it_has_the_lock(manager):
    """It had left the line with its signal, and nobody else was woken."""
    condition, told = manager.Condition(), manager.Queue()
    waiters = []
    for name in ("first", "second"):
        waiter = FORK.Process(target=wait_for_notification, args=(condition, told, name))
        waiter.start()
        waiters.append(waiter)
        assert told.get(timeout=LONG) == "waits"
        # The lock is free only once it stands in line.
        with condition:
            pass
    with condition:
        condition.notify()
        # It is woken, and waits for the lock that this process has.
        time.sleep(0.2)
        waiters[0].kill()
        waiters[0].join()
    assert told.get(timeout=LONG) == "second"
    waiters[1].join(LONG)
    assert waiters[1].exitcode == 0


def get_and_fork(line, told):
    """Wait for an item; a signal handler forks, and leaves the wait in the child."""

    def handler(*_):
        if os.fork() == 0:
            raise SystemExit(7)

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    parent = os.getpid()
    try:
        told.put(line.get(timeout=LONG))
    except SystemExit:
        told.put("left")
    finally:
        if os.getpid() != parent:
            os._exit(0)


@pytest.mark.timeout(120)
def test_a_handler_that_forks_and_raises_in_the_child(manager):
    """The child went on waiting, and its exception was forgotten."""
    line, told = manager.Queue(), manager.Queue()
    worker = FORK.Process(target=get_and_fork, args=(line, told))
    worker.start()
    assert told.get(timeout=LONG) == "left"
    line.put("an item")
    assert told.get(timeout=LONG) == "an item"
    worker.join(LONG)
    assert worker.exitcode == 0
