"""Locks, semaphores, events, conditions, barriers and queues: every method, every exception.

The programs in sync_programs.py run on the stock manager of the running Python and on Coheld, and
every step has to have the same outcome. What stock has not, or not on every version, has tests of
its own.
"""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import multiprocessing.managers
import os
import pickle
import queue
import re
import sys
import threading

import marks
import pytest
import subject
from sync_programs import CONSTRUCTORS, PROGRAMS

NAN, INF = float("nan"), float("inf")


def steps_of(program: str) -> list[str]:
    return [line.strip() for line in program.strip().splitlines()]


def neutral(text: str) -> str:
    text = re.sub(r"0x[0-9a-f]+", "0x...", text)
    text = re.sub(r"owner=[1-9][0-9]*", "owner=N", text)
    return text.replace("coheld.managers", "multiprocessing.managers")


def outcome(step: str, names: dict) -> str:
    """What a step does, as a text that is the same for all managers."""
    try:
        result = eval(step, names)
    except Exception as problem:
        name, text = type(problem).__name__, str(problem)
        if name == "RemoteError":
            # The traceback names files and lines of the other side; its last line is the error.
            text = text.rstrip("-\n").rsplit("\n", 1)[-1]
        if name == "TypeError" and re.search(r"argument|iterable|expected", text):
            # Who complains of a number of arguments is the proxy or the referent.
            return "TypeError about arguments"
        return f"{name}: {neutral(text)}"
    return f"{type(result).__name__} {neutral(repr(result))}"


def names_for(manager, x=None) -> dict:
    return {
        "m": manager,
        "x": x,
        "copy": copy,
        "re": re,
        "threading": threading,
        "NAN": NAN,
        "INF": INF,
    }


@pytest.fixture(scope="module")
def stock():
    with multiprocessing.get_context("fork").Manager() as manager:
        yield manager


@pytest.fixture(scope="module")
def ours():
    manager = subject.start_manager()
    yield manager
    manager.shutdown()


@pytest.mark.parametrize("constructor", PROGRAMS)
def test_every_step_is_as_stock_does_it(stock, ours, constructor):
    sides = [
        names_for(manager, eval(f"manager.{constructor}", {"manager": manager}))
        for manager in (stock, ours)
    ]
    for step in steps_of(PROGRAMS[constructor]):
        expected, found = (outcome(step, names) for names in sides)
        assert found == expected, f"{constructor}: {step}"


@pytest.mark.parametrize("step", steps_of(CONSTRUCTORS))
def test_constructors(stock, ours, step):
    assert outcome(step, names_for(ours)) == outcome(step, names_for(stock))


# What stock has not, or not on every version.


def test_union_of_all_versions(ours):
    if subject.IS_STOCK:
        pytest.skip("the stock manager has not all of this")
    assert set(ours.Lock()._exposed_) == {"acquire", "release", "locked"}
    assert set(ours.Condition()._exposed_) == {
        *ours.Lock()._exposed_,
        *("wait", "notify", "notify_all"),
    }
    assert set(ours.Event()._exposed_) == {"is_set", "set", "clear", "wait"}
    assert set(ours.Barrier(1)._exposed_) == {"__getattribute__", "wait", "abort", "reset"}
    names = "empty full get get_nowait join put put_nowait qsize shutdown task_done"
    assert set(ours.Queue()._exposed_) == set(names.split())
    assert ours.Queue()._exposed_ == ours.JoinableQueue()._exposed_


@marks.coheld_only
@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition"])
def test_locked(ours, kind):
    lock = getattr(ours, kind)()
    assert lock.locked() is False
    assert lock.acquire() is True
    assert lock.locked() is True
    assert lock._callmethod("locked") is True
    lock.release()
    assert lock.locked() is False


@marks.coheld_only
def test_release_of_several_permits(ours):
    semaphore = ours.Semaphore(0)
    semaphore.release(3)
    assert [semaphore.acquire(False) for _ in range(4)] == [True, True, True, False]
    semaphore.release(n=2)
    assert re.search("value=2|object at", str(semaphore))
    for wrong in (0, -1, False):
        with pytest.raises(ValueError, match="^n must be one or more$"):
            semaphore.release(wrong)
    for wrong in (1.5, "a", None, []):
        with pytest.raises(TypeError):
            semaphore.release(wrong)
    with pytest.raises(OverflowError):
        semaphore.release(10**30)
    bounded = ours.BoundedSemaphore(2)
    bounded.acquire()
    with pytest.raises(ValueError, match="^Semaphore released too many times$"):
        bounded.release(2)
    bounded.release(1)
    for lock in (ours.Lock(), ours.RLock(), ours.Condition()):
        lock.acquire()
        with pytest.raises(TypeError, match="takes no arguments"):
            lock.release(1)
        lock.release()


@marks.coheld_only
def test_times_that_no_clock_can_count(ours):
    for time in (INF, 1e300, 10**100, 1e19, threading.TIMEOUT_MAX):
        event, barrier, line = ours.Event(), ours.Barrier(2), ours.Queue(1)
        semaphore, condition = ours.Semaphore(0), ours.Condition()

        def party(barrier=barrier, event=event, semaphore=semaphore, line=line, time=time):
            barrier.wait(time)
            event.set()
            semaphore.release()
            line.put("item", True, time)

        thread = threading.Thread(target=party)
        thread.start()
        barrier.wait(time)
        assert event.wait(time) is True
        assert semaphore.acquire(True, time) is True
        assert line.get(True, time) == "item"
        thread.join()
        with condition:
            assert condition.wait_for(lambda: 5, time) == 5


@marks.coheld_only
def test_not_a_number(ours):
    """Where stock would wait for ever, busily, that is an error."""
    condition = ours.Condition()
    condition.acquire()
    for wait in (
        lambda: ours.Lock().acquire(True, NAN),
        lambda: ours.Semaphore(0).acquire(True, NAN),
        lambda: ours.Barrier(2).wait(NAN),
        lambda: ours.Queue().get(True, NAN),
        lambda: condition.wait_for(lambda: False, NAN),
    ):
        with pytest.raises(ValueError, match="NaN"):
            wait()
    assert ours.Event().wait(NAN) is False
    assert condition.wait(NAN) is False


@marks.coheld_only
@pytest.mark.parametrize("parties", [0, -1])
def test_barrier_needs_parties(ours, parties):
    with pytest.raises(subject.managers.RemoteError, match="ValueError: parties must be > 0"):
        ours.Barrier(parties)


@marks.coheld_only
def test_numbers_too_large(ours):
    with pytest.raises(OverflowError, match="permits"):
        ours.Semaphore(10**30)
    assert ours.Queue(10**30).full() is False


# Classes.


def test_classes(ours):
    managers = subject.managers
    for kind in ("Lock", "RLock", "Semaphore", "BoundedSemaphore"):
        assert type(getattr(ours, kind)()) is managers.AcquirerProxy
    condition = ours.Condition()
    assert type(condition) is managers.ConditionProxy
    assert isinstance(condition, managers.AcquirerProxy)
    assert type(ours.Event()) is managers.EventProxy
    assert type(ours.Barrier(1)) is managers.BarrierProxy
    line = ours.Queue()
    assert isinstance(line, managers.BaseProxy)
    assert type(line).__name__ == type(line).__qualname__ == "AutoProxy[Queue]"
    assert type(line).__module__ == subject.MODULE
    assert repr(line).startswith("<AutoProxy[Queue] object, typeid 'Queue' at 0x")
    assert repr(ours.JoinableQueue()).startswith("<AutoProxy[JoinableQueue] object, typeid ")


@pytest.mark.parametrize(
    "make",
    "Lock() RLock() Semaphore(2) BoundedSemaphore(2) Event() Condition() Barrier(1) Queue() "
    "JoinableQueue(1)".split(),
)
def test_pickled_and_copied(ours, make):
    names = {"manager": ours}
    proxy = eval(f"manager.{make}", names)
    current = multiprocessing.current_process()
    before, current.authkey = current.authkey, ours._authkey
    try:
        others = [copy.copy(proxy)]
        others += [pickle.loads(pickle.dumps(proxy, protocol)) for protocol in (2, 3, 4, 5)]
    finally:
        current.authkey = before
    for other in others:
        assert type(other) is type(proxy)
        assert other._id == proxy._id
        assert str(other) == str(proxy)
        assert other._exposed_ == proxy._exposed_
    with pytest.raises(subject.managers.RemoteError, match="cannot pickle"):
        copy.deepcopy(proxy)


def test_bound_methods_can_be_pickled(ours):
    """Pools get `queue.put` as a function to call."""
    line = ours.Queue()
    pickle.loads(pickle.dumps(line.put))("item")
    assert pickle.loads(pickle.dumps(line.get))() == "item"


@marks.coheld_only
def test_one_class_is_not_the_proxy_of_another_kind(ours):
    managers = subject.managers
    for cls, proxy in (
        (managers.ConditionProxy, ours.Lock()),
        (managers.EventProxy, ours.Lock()),
        (managers.ListProxy, ours.Queue()),
        (managers.AcquirerProxy, ours.Event()),
        (managers.AcquirerProxy, ours.list()),
    ):
        with pytest.raises(TypeError, match="cannot be a proxy"):
            cls(proxy._token, "pickle", authkey=ours._authkey)


def test_subclass_of_a_proxy(ours):
    class Counting(subject.managers.AcquirerProxy):
        def __enter__(self):
            self.entered = True
            return self._callmethod("acquire")

    lock = ours.Lock()
    counting = Counting(lock._token, "pickle", authkey=ours._authkey)
    with counting as acquired:
        assert (acquired, counting.entered) == (True, True)
        assert lock.acquire(False) is False
    assert lock.acquire(False) is True


@marks.coheld_only
def test_registered_by_their_classes(ours):
    class Registered(subject.managers.BaseManager):
        pass

    Registered.register("get_queue", queue.Queue)
    Registered.register("Mutex", threading.Lock)
    with Registered() as manager:
        line, lock = manager.get_queue(1), manager.Mutex()
        line.put("item")
        assert line.full()
        assert lock.acquire()
        assert "typeid 'Mutex'" in repr(pickle.loads(pickle.dumps(lock)))


# Conditions and their locks.


@pytest.mark.parametrize(
    "make", ["Lock", pytest.param("RLock", marks=marks.coheld_only), "Semaphore"]
)
def test_condition_with_a_lock(ours, make):
    """With stock the RLock of a condition belongs to the manager process."""
    lock = getattr(ours, make)()
    condition, other = ours.Condition(lock), ours.Condition(lock=lock)
    with condition:
        # Only an RLock may be acquired again.
        assert lock.acquire(False) is (make == "RLock")
        if make == "RLock":
            lock.release()
        other.notify_all()
        assert condition.wait(0) is False
    assert lock.acquire(False) is True
    condition.release()


@marks.coheld_only
def test_condition_with_something_else(ours):
    other = subject.start_manager()
    try:
        for wrong in (other.Lock(), ours.Event(), ours.list(), ours.Condition()):
            with pytest.raises(TypeError, match="the lock of a shared condition cannot be"):
                ours.Condition(wrong)
    finally:
        other.shutdown()


def test_condition_lets_go_of_all_levels(ours):
    condition = ours.Condition()
    woken = []

    def wait():
        with condition, condition:
            woken.append(condition.wait(20))
            # Still held twice.
            condition.release()
            condition.acquire()

    thread = threading.Thread(target=wait)
    thread.start()

    def notify():
        with condition:
            condition.notify()
            return woken

    assert subject.wait_until(notify)
    thread.join()
    assert woken == [True]
    with pytest.raises(RuntimeError):
        condition.release()


@pytest.mark.parametrize("make", ["RLock", "Condition"])
def test_only_the_thread_that_has_it_may_release(ours, make):
    lock, problems = getattr(ours, make)(), []

    def release():
        try:
            lock.release()
        except RuntimeError as problem:
            problems.append((str(problem), lock.acquire(False)))

    with lock:
        thread = threading.Thread(target=release)
        thread.start()
        thread.join()
    assert problems == [("cannot release un-acquired lock", False)]


# Barriers and their actions.


def test_barrier_numbers_its_parties(ours):
    barrier, numbers = ours.Barrier(3), []
    threads = [threading.Thread(target=lambda: numbers.append(barrier.wait(20))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == [0, 1, 2]


def fail():
    raise KeyError("from the action")


@marks.coheld_only
def test_action_runs_in_the_process_of_the_last_party(ours):
    called = ours.list()
    barrier = ours.Barrier(1, action=called.clear)
    called.append(1)
    assert barrier.wait() == 0
    assert called[:] == []
    assert pickle.loads(pickle.dumps(ours.Barrier(1, os.getpid))).wait() == 0


def test_action_that_fails(ours):
    barrier, broken = ours.Barrier(2, fail), []

    def wait():
        try:
            barrier.wait(20)
        except (threading.BrokenBarrierError, KeyError) as problem:
            broken.append(type(problem))

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(broken) == {threading.BrokenBarrierError, KeyError}
    assert barrier.broken


def test_action_has_to_pickle(ours):
    with pytest.raises((pickle.PicklingError, AttributeError)):
        ours.Barrier(2, lambda: None)


@marks.coheld_only
def test_default_time_of_a_barrier(ours):
    barrier = ours.Barrier(2, None, 0.05)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    assert pickle.loads(pickle.dumps(barrier)).broken


# The option for owners that die, and the exceptions.


@marks.coheld_only
def test_what_is_exported():
    import coheld

    assert issubclass(coheld.OwnerDiedWarning, RuntimeWarning)
    assert issubclass(coheld.OwnerDiedError, coheld.CoheldError)
    assert issubclass(coheld.OwnerDiedError, RuntimeError)
    assert issubclass(coheld.ShutDown, Exception)
    if sys.version_info >= (3, 13):
        assert coheld.ShutDown is queue.ShutDown
    for wrong in ("ignore", None, True):
        with pytest.raises(ValueError, match="give 'warn' or 'error'"):
            coheld.Manager(owner_died=wrong)


@marks.coheld_only
def test_every_method_has_a_docstring():
    managers = subject.managers
    for cls in (
        managers.AcquirerProxy,
        managers.ConditionProxy,
        managers.EventProxy,
        managers.BarrierProxy,
        managers.QueueProxy,
        managers.JoinableQueueProxy,
    ):
        assert inspect.getdoc(cls)
        for name, member in vars(cls).items():
            if not name.startswith("_"):
                assert inspect.getdoc(member), f"{cls.__name__}.{name}"
