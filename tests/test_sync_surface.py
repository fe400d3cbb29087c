"""Locks, semaphores, events, conditions, barriers and queues: every method, every exception.

The programs below run on the stock manager of the running Python and on Coheld, and every step has
to have the same outcome. A step that stock cannot do, or that it does not do on every version, says
what is expected instead.
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

NAN, INF = float("nan"), float("inf")

# Steps are texts to be evaluated, with `x` the object and `m` its manager.
LOCK = """
    x.acquire()
    x.acquire(False)
    x.acquire(False, None)
    x.acquire(False, -1)
    x.acquire(False, 1)
    x.acquire(False, 0)
    x.acquire(blocking=False)
    x.acquire(True, 0)
    x.acquire(True, 0.0)
    x.acquire(True, False)
    x.acquire(timeout=0.01)
    x.acquire(True, -2)
    x.acquire(True, -0.5)
    x.acquire(True, NAN)
    x.acquire(timeout=INF)
    x.acquire(timeout=1e10)
    x.acquire(timeout=1e300)
    x.acquire(timeout=10**100)
    x.acquire(timeout='a')
    x.acquire(timeout=[])
    x.release()
    x.release()
    x.acquire(True, True)
    x.release()
    x.acquire(True, 3600)
    x.release()
    x.acquire(True, threading.TIMEOUT_MAX)
    x.release()
    x.acquire(True, -1)
    x.release()
    x.acquire(True, None)
    x.release()
    x.acquire(2)
    x.release()
    x.acquire(0)
    x.release()
    str(x)
    x.acquire()
    str(x).replace(str(re.search('owner=([0-9]+)', str(x) + ' owner=0').group(1)), '0')
    x.release()
    x.__enter__()
    x.__exit__(None, None, None)
    x.__exit__(None, None, None)
    x.__exit__(None)
    x._callmethod('acquire')
    x._callmethod('release')
    x._callmethod('release')
    x._callmethod('acquire', (True, -1))
    x._callmethod('release', ())
    x._callmethod('acquire', (False,), {})
    x._callmethod('release', (), {})
    x._callmethod('acquire', (False, 5))
    x._callmethod('release', (1,))
    x._callmethod('__enter__')
    x._callmethod('foo')
    x._callmethod('_is_owned')
    x._getvalue()
    copy.deepcopy(x)
    x.foo
    repr(x)
"""

SEMAPHORE = """
    str(x)
    x.acquire()
    str(x)
    x.acquire(False)
    x.acquire(False, None)
    x.acquire(False, 1)
    x.acquire(False, -1)
    x.acquire(0)
    x.acquire([])
    x.acquire(None)
    x.acquire(True, 0)
    x.acquire(True, -2)
    x.acquire(True, 0.01)
    x.acquire(True, 'a')
    x.acquire(True, [])
    x.release()
    x.acquire('a', 10**100)
    x.release()
    x.acquire(True, INF)
    x.release()
    x.__enter__()
    x.__exit__(None, None, None)
    x._callmethod('release', (0,))
    x._callmethod('release', (-1,))
    x._callmethod('release', ('a',))
    x._callmethod('acquire', (True, None))
    x._callmethod('release')
    x._callmethod('foo')
    x._callmethod('_value')
    x._getvalue()
    copy.deepcopy(x)
    repr(x)
"""

EVENT = """
    x.is_set()
    str(x)
    x.wait(0)
    x.wait(-1)
    x.wait(0.01)
    x.wait(timeout=0.01)
    x.wait(False)
    x.wait(NAN)
    x.wait('a')
    x.wait([])
    x.set()
    x.set()
    x.is_set()
    str(x)
    x.wait()
    x.wait(None)
    x.wait(-1)
    x.wait('a')
    x.wait(INF)
    x.clear()
    x.clear()
    x.is_set()
    x.isSet()
    x._callmethod('is_set')
    x._callmethod('wait', (0,))
    x._callmethod('set')
    x._callmethod('isSet')
    x._getvalue()
    copy.deepcopy(x)
    repr(x)
"""

CONDITION = """
    str(x)
    x.wait()
    x.wait(0)
    x.wait('a')
    x.notify()
    x.notify(2)
    x.notify('a')
    x.notify_all()
    x.release()
    x.wait_for(lambda: 7)
    x.wait_for(lambda: [], 0)
    x.wait_for(lambda: 0, -1)
    x.wait_for(lambda: 0, 5)
    x.acquire()
    x.wait(0)
    x.wait(-1)
    x.wait(NAN)
    x.wait(0.01)
    x.wait(timeout=0.01)
    x.wait('a')
    x.wait_for(lambda: 0, 0.01)
    x.wait_for(lambda: 0, 'a')
    x.wait_for(5)
    x.wait_for(lambda: 1 / 0)
    x.notify()
    x.notify(0)
    x.notify(-3)
    x.notify(n=2)
    x.notify(2.5)
    x.notify_all()
    x.acquire(False)
    x.release()
    x.release()
    x.release()
    x.__enter__()
    x.__exit__(None, None, None)
    x._callmethod('wait_for', (1,))
    x._callmethod('notify', (1,))
    x._callmethod('notify_all')
    x._callmethod('_is_owned')
    x._callmethod('foo')
    x._getvalue()
    copy.deepcopy(x)
    repr(x)
"""

BARRIER = """
    x.parties
    x.n_waiting
    x.broken
    str(x)
    x.wait(0)
    x.broken
    str(x)
    x.wait()
    x.wait(-1)
    x.reset()
    x.broken
    x.wait('a')
    x.broken
    x.wait(0.01)
    x.reset()
    x.abort()
    x.abort()
    x.wait()
    x.broken
    x.reset()
    x.n_waiting
    x.foo
    x._callmethod('__getattribute__', ('parties',))
    x._callmethod('__getattribute__', ('n_waiting',))
    x._callmethod('__getattribute__', ('broken',))
    x._callmethod('__getattribute__', ('foo',))
    x._callmethod('__getattribute__', ('wait',))
    x._callmethod('parties')
    x._callmethod('abort')
    x._callmethod('reset')
    x._getvalue()
    copy.deepcopy(x)
    repr(x)
"""

QUEUE = """
    x.empty()
    x.full()
    x.qsize()
    x.get_nowait()
    x.get(False)
    x.get(block=False)
    x.get(0)
    x.get(False, -1)
    x.get(True, 0)
    x.get(True, 0.01)
    x.get(timeout=0.0)
    x.get(True, -1)
    x.get(timeout=-0.5)
    x.get(True, 'a')
    x.get(True, [])
    x.get(1, 2, 3)
    x.get(foo=1)
    x.task_done()
    x.join()
    x.put(1)
    x.put('two', True)
    x.full()
    x.put(3, False)
    x.put(3, block=False)
    x.put(3, True, 0)
    x.put(3, timeout=0.01)
    x.put(3, True, -1)
    x.put(3, False, -1)
    x.put(3, True, 'a')
    x.put_nowait(3)
    x.put_nowait(item=3)
    x.put()
    x.put(1, 2, 3, 4)
    x.put(1, foo=2)
    x.put_nowait()
    x.put_nowait(1, 2)
    x.get_nowait(1)
    x.put(lambda: 0)
    x.qsize()
    x.get()
    x.get(timeout=10**100)
    x.qsize()
    x.put(item=[1, 2], block=True, timeout=None)
    x.get(True, None)
    x.task_done()
    x.task_done()
    x.task_done()
    x.task_done()
    x.join()
    x.put(None, timeout=5)
    x.get(timeout=True)
    x.task_done()
    x._callmethod('put', (1,))
    x._callmethod('put', (), {'item': 2, 'timeout': 1})
    x._callmethod('put', (3, False))
    x._callmethod('get')
    x._callmethod('get', (False,))
    x._callmethod('get', (), {'block': False})
    x._callmethod('qsize')
    x._callmethod('maxsize')
    x._callmethod('_put', (1,))
    x._callmethod('foo')
    x.maxsize
    x.queue
    len(x)
    x._isauto
    str(x)
    x._getvalue()
    copy.deepcopy(x)
    repr(x)
    type(x).__name__
"""

PROGRAMS = {
    "Lock()": LOCK,
    "RLock()": LOCK,
    "Semaphore()": SEMAPHORE,
    "BoundedSemaphore()": SEMAPHORE + "    x.release()\n    x._callmethod('release', (2,))\n",
    "Event()": EVENT,
    "Condition()": CONDITION,
    "Barrier(2)": BARRIER,
    "Barrier(2, None, 0.01)": BARRIER,
    "Queue(2)": QUEUE,
    "JoinableQueue(2)": QUEUE,
}

# Arguments of constructors, as one program.
CONSTRUCTORS = """
    m.Lock(1)
    m.Lock(x=1)
    m.Semaphore(-1)
    m.Semaphore('a')
    m.Semaphore(None)
    m.Semaphore(1, 2)
    m.Semaphore(value=3)
    m.Semaphore(foo=3)
    str(m.Semaphore(0))
    str(m.Semaphore(value=3))
    m.BoundedSemaphore(-1)
    m.BoundedSemaphore([])
    str(m.BoundedSemaphore(5))
    m.Event(1)
    m.Condition(1)
    m.Condition(None)
    m.Condition(lock=None)
    m.Condition(m.Lock(), 2)
    m.Condition(foo=1)
    m.Condition(threading.Lock())
    m.Condition(threading.RLock())
    str(m.Condition())
    str(m.Condition(m.Lock()))
    str(m.Condition(lock=m.RLock()))
    m.Condition(m.Semaphore(2))
    m.Barrier()
    m.Barrier(1, 2, 3, 4)
    m.Barrier(parties=3, action=None, timeout=5).parties
    m.Barrier(2, lambda: 0)
    str(m.Barrier(3))
    m.Queue(1, 2)
    m.Queue(foo=1)
    m.Queue(-1).full()
    m.Queue(0).full()
    m.Queue(maxsize=1).full()
    m.Queue(1.5).full()
    str(m.Queue())
    m.JoinableQueue(3)
"""


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
