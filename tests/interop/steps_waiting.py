"""Steps: queues, and what threads wait for."""

from __future__ import annotations

import queue
import threading
import time

from battery import in_thread, kind, outcome, start_thread, step


@step(short=True)
def queues(world):
    shared = world.manager.Queue(2)
    shared.put("first")
    shared.put(item=("second", None), block=True, timeout=1)
    yield shared.qsize(), shared.full(), shared.empty()
    yield outcome(shared.put, 3, False), outcome(shared.put_nowait, 3)
    yield outcome(shared.put, 3, timeout=0.01), kind(shared.put, 3, True, -1)
    yield shared.get(), shared.get(timeout=1)
    yield outcome(shared.get, False), outcome(shared.get_nowait), outcome(shared.get, True, 0.01)
    yield shared.empty(), isinstance(outcome(shared.get, block=False), queue.Empty)
    yield kind(shared.get, True, -1), kind(shared.put), str(shared).startswith("<queue.Queue ")


@step()
def queue_that_is_waited_for(world):
    shared = world.manager.Queue()
    getters = [start_thread(shared.get, timeout=20) for _ in range(3)]
    for item in range(3):
        shared.put(item)
    yield sorted(getter() for getter in getters)
    full = world.manager.Queue(1)
    full.put(1)
    putter = start_thread(full.put, 2)
    yield full.get(), putter(), full.get()


@step()
def joinable_queue(world):
    shared = world.manager.JoinableQueue()
    shared.put(1)
    shared.put(2)
    joiner = start_thread(shared.join)
    yield shared.get(), shared.task_done(), shared.get(), shared.task_done(), joiner()
    yield outcome(shared.task_done), shared.join()


@step(short=True)
def event(world):
    shared = world.manager.Event()
    yield shared.is_set(), shared.wait(0.01), shared.wait(timeout=0)
    waiter = start_thread(shared.wait, 20)
    yield shared.set(), waiter(), shared.is_set(), shared.wait()
    yield str(shared).startswith("<threading.Event")
    yield shared.clear(), shared.is_set()


@step(short=True)
def lock(world):
    shared = world.manager.Lock()
    yield shared.acquire(), shared.acquire(False), shared.acquire(True, 0.01), shared.release()
    yield outcome(shared.release)
    with shared as entered:
        yield entered, in_thread(shared.acquire, False)
    yield in_thread(shared.acquire, blocking=True, timeout=1), shared.release()
    shared.acquire()
    waiter = start_thread(shared.acquire)
    yield shared.release(), waiter(), shared.acquire(False), shared.release()


@step()
def rlock(world):
    shared = world.manager.RLock()
    yield shared.acquire(), shared.acquire(), in_thread(shared.acquire, False), shared.release()
    yield in_thread(shared.acquire, False), in_thread(shared.release), shared.release()
    yield in_thread(lambda: (shared.acquire(False), shared.release())), outcome(shared.release)


@step()
def semaphores(world):
    shared = world.manager.Semaphore(2)
    yield shared.acquire(), shared.acquire(), shared.acquire(False), shared.acquire(True, 0.01)
    yield shared.release(), shared.release(), shared.release(), shared.acquire(timeout=1)
    bounded = world.manager.BoundedSemaphore(1)
    yield bounded.acquire(), bounded.release(), outcome(bounded.release)
    with bounded:
        yield bounded.acquire(False)
    yield outcome(world.manager.Semaphore, -1)


@step(since=(3, 14))
def locked(world):
    shared = world.manager.Lock()
    yield shared.locked(), shared.acquire(), shared.locked()


@step(short=True)
def condition(world):
    shared = world.manager.Condition()
    ready = threading.Event()

    def wait(timeout):
        with shared:
            ready.set()
            return shared.wait(timeout)

    waiter = start_thread(wait, 20)
    ready.wait(20)
    # Who waits has let go of the lock, so it waits already once the lock is here.
    with shared:
        yield shared.notify()
    yield waiter(), wait(0.01), outcome(shared.notify), outcome(shared.wait, 0.01)


@step()
def condition_of_many(world):
    shared = world.manager.Condition()
    state = world.manager.Value("i", 0)

    def wait():
        with shared:
            return shared.wait_for(lambda: state.value == 7, timeout=20)

    waiters = [start_thread(wait) for _ in range(3)]
    with shared:
        state.value = 7
        shared.notify_all()
    yield [waiter() for waiter in waiters]
    with shared:
        yield shared.wait_for(lambda: False, 0.01), shared.notify(2), shared.notify_all()


@step()
def condition_over_a_lock(world):
    lock = world.manager.Lock()
    shared = world.manager.Condition(lock)
    with shared:
        yield lock.acquire(False)
    yield lock.acquire(False), lock.release()


@step(short=True)
def barrier(world):
    shared = world.manager.Barrier(2)
    yield shared.parties, shared.n_waiting, shared.broken
    other = start_thread(shared.wait)
    yield sorted([shared.wait(), other()])
    yield outcome(shared.wait, 0.01), shared.broken, outcome(shared.wait)
    yield shared.reset(), shared.broken, shared.abort(), shared.broken


@step()
def barrier_that_is_reset(world):
    shared = world.manager.Barrier(parties=3, timeout=20)
    others = [start_thread(shared.wait) for _ in range(2)]
    end = time.monotonic() + 10
    while shared.n_waiting < 2 and time.monotonic() < end:
        time.sleep(0.01)
    yield shared.n_waiting
    shared.reset()
    yield [other() for other in others], shared.broken
