"""Waiting that is interrupted, and the death of who waits or holds what others wait for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings

import marks
import pytest
import subject
from sync_children import LONG, try_to_acquire, wait_for_notification, wait_on

if not subject.IS_STOCK:
    from coheld import OwnerDiedError, OwnerDiedWarning

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")

ACQUIRERS = ["Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition"]


# What the children run. Spawned children import these by name.


def acquire_and(ready, lock, times=1):
    """Acquires and waits to be killed."""
    for _ in range(times):
        lock.acquire()
    ready.set()
    time.sleep(3600)


def wait_to_be_interrupted(ready, what, proxy, *args):
    # A shell that starts the tests in the background lets its children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return wait_on(ready, what, proxy, *args)
    except KeyboardInterrupt:
        if what == "wait_of_condition":
            # The lock was taken again for the handler, and given back by it.
            assert proxy.acquire(False)
            proxy.release()
        return "interrupted"


# Interrupting.

WAITS = {
    "Lock": ("Lock()", "acquire", ()),
    "RLock": ("RLock()", "acquire", ()),
    "Lock with a time": ("Lock()", "acquire", (True, 3600)),
    "Semaphore": ("Semaphore(0)", "acquire", ()),
    "Event": ("Event()", "wait", ()),
    "Event with a time": ("Event()", "wait", (3600,)),
    "Condition": ("Condition()", "wait_of_condition", ()),
    "Condition with a time": ("Condition()", "wait_of_condition", (3600,)),
    "lock of Condition": ("Condition()", "acquire", ()),
    "Barrier": ("Barrier(2)", "wait", ()),
    "get": ("Queue()", "get", ()),
    "get with a time": ("Queue()", "get", (True, 3600)),
    "put": ("Queue(1)", "put", ("one too many",)),
    "join": ("JoinableQueue()", "join", ()),
}


@pytest.fixture(params=WAITS)
def wait(request, manager):
    """A proxy, what to call and with what, so that it waits for ever."""
    constructor, what, args = WAITS[request.param]
    proxy = eval(f"manager.{constructor}", {"manager": manager})
    if what == "acquire" and not constructor.startswith("Semaphore"):
        proxy.acquire()
    if what in ("put", "join"):
        proxy.put("an item")
    return proxy, what, args


def test_control_c_ends_a_wait(manager, processes, wait):
    proxy, what, args = wait
    ready = manager.Event()
    child = processes.start(FORK, wait_to_be_interrupted, ready, what, proxy, *args)
    assert ready.wait(LONG)
    # That it waits by now is likely; whether it does makes no difference to what is expected.
    time.sleep(0.1)
    os.kill(child.pid, signal.SIGINT)
    assert child.result() == "interrupted"
    check_unharmed(manager, proxy, what)


def test_killed_while_it_waits(manager, processes, wait):
    proxy, what, args = wait
    for _ in range(3):
        ready = manager.Event()
        child = processes.start(FORK, wait_on, ready, what, proxy, *args)
        assert ready.wait(LONG)
        time.sleep(0.05)
        child.kill()
    check_unharmed(manager, proxy, what)


def check_unharmed(manager, proxy, what):
    """Nobody is taken for a waiter any more, and waiting goes on as ever."""
    if what == "wait_of_condition":
        with proxy:
            # What the dead were notified of goes to nobody who came later.
            proxy.notify_all()
            assert [proxy.wait(0.01) for _ in range(4)] == [False] * 4
    elif what == "acquire":
        proxy.release()
        assert proxy.acquire(True, LONG) is True
        assert proxy.acquire(False) is ("RLock" in str(proxy))
    elif what == "get":
        proxy.put("kept")
        assert proxy.get(True, LONG) == "kept"
        assert proxy.empty()
    elif what == "put":
        assert proxy.get(True, LONG) == "an item"
        proxy.put("another", True, LONG)
        assert proxy.get(True, LONG) == "another"
        assert proxy.empty()
    elif what == "join":
        proxy.get()
        proxy.task_done()
        proxy.join()
    elif hasattr(proxy, "parties"):
        # A party that waited and has gone breaks it.
        assert subject.wait_until(lambda: proxy.broken or proxy.n_waiting == 0, LONG)
        proxy.reset()
        threads = [threading.Thread(target=proxy.wait, args=(LONG,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not proxy.broken
    else:
        assert proxy.wait(0) is False
        proxy.set()
        assert proxy.wait(LONG) is True


# Dying with a lock.


def kill_an_owner(manager, processes, context, lock, times=1):
    ready = manager.Event()
    child = processes.start(context, acquire_and, ready, lock, times)
    assert ready.wait(LONG)
    child.kill()
    return child.pid


@pytest.mark.parametrize("kind", ACQUIRERS)
def test_owner_died(manager_of_context, context, processes, kind):
    manager, lock = manager_of_context, getattr(manager_of_context, kind)()
    dead = kill_an_owner(manager, processes, context, lock)
    with pytest.warns(OwnerDiedWarning, match=f"^process {dead} died while it held") as caught:
        assert lock.acquire(True, LONG) is True
    assert [warning.filename for warning in caught] == [__file__]
    lock.release()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lock.acquire() is True
    assert lock.acquire(False) is (kind in ("RLock", "Condition"))


@pytest.mark.parametrize("kind", ACQUIRERS)
def test_owner_died_in_a_with_statement(manager, processes, kind):
    lock = getattr(manager, kind)()
    dead = kill_an_owner(manager, processes, FORK, lock)
    with pytest.warns(OwnerDiedWarning, match=str(dead)) as caught:
        line = sys._getframe().f_lineno + 1
        with lock:
            pass
    assert [(warning.filename, warning.lineno) for warning in caught] == [(__file__, line)]


@pytest.mark.parametrize("kind", ACQUIRERS)
def test_owner_died_and_warnings_are_errors(manager, processes, kind):
    """Whoever gets the exception does not have the lock."""
    lock = getattr(manager, kind)()
    dead = kill_an_owner(manager, processes, FORK, lock)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(OwnerDiedWarning, match=str(dead)):
            lock.acquire()
        assert not lock.locked()
        assert processes.run(FORK, try_to_acquire, lock) is True
        assert lock.acquire(False) is True


@pytest.mark.parametrize("kind", ACQUIRERS)
def test_owner_died_is_an_error_if_the_manager_says_so(context, processes, kind):
    manager = subject.start_manager(context, owner_died="error")
    try:
        lock = getattr(manager, kind)()
        dead = kill_an_owner(manager, processes, context, lock)
        with pytest.raises(OwnerDiedError, match=f"process {dead} died"):
            lock.acquire()
        assert not lock.locked()
        assert lock.acquire(False) is True
        lock.release()
    finally:
        manager.shutdown()


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore"])
def test_who_waits_gets_what_the_dead_held(manager, processes, kind):
    lock, ready = getattr(manager, kind)(), manager.Event()
    owner = processes.start(FORK, acquire_and, ready, lock)
    assert ready.wait(LONG)
    killer = threading.Timer(0.2, owner.kill)
    killer.start()
    with pytest.warns(OwnerDiedWarning, match=str(owner.pid)):
        assert lock.acquire(True, LONG) is True
    killer.join()


def test_reentrant_lock_of_the_dead(manager, processes):
    lock = manager.RLock()
    kill_an_owner(manager, processes, FORK, lock, 5)
    with pytest.warns(OwnerDiedWarning):
        lock.acquire()
    lock.release()
    with pytest.raises(RuntimeError, match="cannot release un-acquired lock"):
        lock.release()


def test_all_permits_of_the_dead(manager, processes):
    semaphore = manager.BoundedSemaphore(3)
    kill_an_owner(manager, processes, FORK, semaphore, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [semaphore.acquire(False) for _ in range(4)] == [True, True, True, False]
    for _ in range(3):
        semaphore.release()
    with pytest.raises(ValueError, match="released too many times"):
        semaphore.release()


def test_a_lock_of_the_dead_is_not_locked(manager, processes):
    lock = manager.Lock()
    kill_an_owner(manager, processes, FORK, lock)
    assert lock.locked() is False
    assert str(lock).startswith("<unlocked ")


def test_dead_waiters_cost_nobody_a_notification(manager, processes):
    condition = manager.Condition()
    waiting, woken = manager.list(), manager.list()
    for turn in range(5):
        arguments = (condition, waiting, woken)
        victim = processes.start(FORK, wait_for_notification, *arguments, "victim")
        assert subject.wait_until(lambda turn=turn: len(waiting) == 2 * turn + 1, LONG)
        processes.start(FORK, wait_for_notification, *arguments, turn)
        assert subject.wait_until(lambda turn=turn: len(waiting) == 2 * turn + 2, LONG)
        with condition:
            # Both are in line now, the victim before the other.
            victim.kill()
            condition.notify()
        assert subject.wait_until(lambda turn=turn: woken[:] == [*range(turn), turn], LONG)


def test_dead_getters_cost_nobody_an_item(manager, processes):
    line = manager.Queue()
    for turn in range(5):
        ready, other_ready = manager.Event(), manager.Event()
        victim = processes.start(FORK, wait_on, ready, "get", line)
        assert ready.wait(LONG)
        other = processes.start(FORK, wait_on, other_ready, "get", line)
        assert other_ready.wait(LONG)
        time.sleep(0.05)
        victim.kill()
        line.put(turn)
        assert other.result() == turn
        assert line.empty()


def test_barrier_breaks_when_a_party_dies(manager_of_context, context, processes):
    manager = manager_of_context
    barrier, ready = manager.Barrier(3), manager.Event()
    victim = processes.start(context, wait_on, ready, "wait", barrier)
    survivor = processes.start(context, wait_on, ready, "wait", barrier)
    assert subject.wait_until(lambda: barrier.n_waiting == 2, LONG)
    victim.kill()
    with pytest.raises(threading.BrokenBarrierError):
        survivor.result()
    assert barrier.broken
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(LONG)
