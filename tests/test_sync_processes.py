"""Locks, queues and everything that waits, between processes: that they exclude and wake."""

from __future__ import annotations

import concurrent.futures
import os
import queue
import subprocess
import sys
import threading
import time
import warnings

import marks
import pytest
import subject
from sync_children import LONG, try_to_acquire, wait_for_notification, wait_on

ACQUIRERS = ["Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition"]


# What the children run. Spawned children import these by name.


def count_up(lock, number, value):
    for _ in range(number):
        with lock:
            value.value += 1


def hold_one_of_several(semaphore, number, inside, most):
    for _ in range(number):
        with semaphore:
            inside.append(None)
            now = len(inside)
            if now > most.value:
                most.value = now
            inside.pop()


def play(condition, ball, me, rounds):
    """Takes turns with the other player."""
    with condition:
        for _ in range(rounds):
            if not condition.wait_for(lambda: ball.value % 2 == me, LONG):
                raise TimeoutError("the other player has left")
            ball.value += 1
            condition.notify()


def cross(barrier, rounds, log, me):
    numbers = []
    for turn in range(rounds):
        log.append((turn, me))
        numbers.append(barrier.wait(LONG))
    return numbers


def produce(line, me, number):
    for index in range(number):
        line.put((me, index), True, LONG)


def consume(line):
    got = []
    while True:
        item = line.get(True, LONG)
        line.task_done()
        if item is None:
            return got
        got.append(item)


def work_off(line):
    while True:
        line.get(True, LONG)
        line.task_done()


def release_what_the_parent_holds(lock):
    try:
        lock.release()
    except RuntimeError as problem:
        return str(problem)
    return "released"


def call(method, *args):
    return method(*args)


def pass_through_threads(lock, value, threads, number):
    workers = [
        threading.Thread(target=count_up, args=(lock, number, value)) for _ in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


# Excluding.


@pytest.mark.parametrize("kind", ACQUIRERS)
def test_only_one_at_a_time(manager_of_context, context, processes, kind):
    lock, value = getattr(manager_of_context, kind)(), manager_of_context.Value("i", 0)
    number = 50 if subject.IS_STOCK else 1000
    children = [processes.start(context, count_up, lock, number, value) for _ in range(4)]
    for child in children:
        child.result()
    assert value.value == 4 * number
    assert lock.acquire(False) is True


def test_threads_of_several_processes(manager_of_context, context, processes):
    lock, value = manager_of_context.RLock(), manager_of_context.Value("i", 0)
    number = 10 if subject.IS_STOCK else 300
    arguments = (lock, value, 3, number)
    children = [processes.start(context, pass_through_threads, *arguments) for _ in range(2)]
    pass_through_threads(*arguments)
    for child in children:
        child.result()
    assert value.value == 9 * number


def test_a_semaphore_lets_so_many_in(manager_of_context, context, processes):
    semaphore, inside = manager_of_context.Semaphore(2), manager_of_context.list()
    most = manager_of_context.Value("i", 0)
    arguments = (semaphore, 20 if subject.IS_STOCK else 500, inside, most)
    children = [processes.start(context, hold_one_of_several, *arguments) for _ in range(4)]
    for child in children:
        child.result()
    assert 1 <= most.value <= 2
    assert [semaphore.acquire(False) for _ in range(3)] == [True, True, False]


def test_held_by_another_process(manager_of_context, context, processes):
    lock, reentrant = manager_of_context.Lock(), manager_of_context.RLock()
    with lock, reentrant:
        assert processes.run(context, try_to_acquire, lock) is False
        assert processes.run(context, try_to_acquire, reentrant) is False
        text = processes.run(context, release_what_the_parent_holds, reentrant)
        assert text == "cannot release un-acquired lock"
    assert processes.run(context, try_to_acquire, lock) is True
    assert processes.run(context, try_to_acquire, reentrant) is True
    # A Lock has no owner: anybody may release it.
    lock.acquire()
    assert processes.run(context, release_what_the_parent_holds, lock) == "released"
    assert lock.acquire(False) is True


# Waking.


def test_ping_pong(manager_of_context, context, processes):
    condition, ball = manager_of_context.Condition(), manager_of_context.Value("i", 0)
    rounds = 20 if subject.IS_STOCK else 200
    players = [processes.start(context, play, condition, ball, me, rounds) for me in (0, 1)]
    for player in players:
        player.result(LONG + 10)
    assert ball.value == 2 * rounds


def test_notify_wakes_so_many(manager_of_context, context, processes):
    condition = manager_of_context.Condition()
    waiting, woken = manager_of_context.list(), manager_of_context.list()
    for me in range(4):
        processes.start(context, wait_for_notification, condition, waiting, woken, me)
    assert subject.wait_until(lambda: len(waiting) == 4, LONG)
    for number, expected in ((1, 1), (2, 3), (5, 4)):
        with condition:
            condition.notify(number)
        assert subject.wait_until(lambda expected=expected: len(woken) == expected, LONG)
        time.sleep(0.05)
        assert len(woken) == expected
    assert sorted(woken[:]) == [0, 1, 2, 3]


def test_event_wakes_all(manager_of_context, context, processes):
    event, ready = manager_of_context.Event(), manager_of_context.Event()
    children = [processes.start(context, wait_on, ready, "wait", event, LONG) for _ in range(4)]
    ready.wait(LONG)
    event.set()
    assert [child.result() for child in children] == [True] * 4


def test_barrier(manager_of_context, context, processes):
    barrier, log = manager_of_context.Barrier(3), manager_of_context.list()
    rounds = 10 if subject.IS_STOCK else 50
    children = [processes.start(context, cross, barrier, rounds, log, me) for me in range(2)]
    numbers = [cross(barrier, rounds, log, 2)] + [child.result() for child in children]
    for turn in range(rounds):
        assert sorted(own[turn] for own in numbers) == [0, 1, 2]
    # Nobody is ahead by more than one turn.
    assert [turn for turn, _ in log[:]] == sorted(turn for turn, _ in log[:])


def test_aborted_and_reset_barriers(manager_of_context, context, processes):
    for breaking in ("abort", "reset"):
        barrier = manager_of_context.Barrier(2)
        ready = manager_of_context.Event()
        child = processes.start(context, wait_on, ready, "wait", barrier, LONG)
        assert subject.wait_until(lambda barrier=barrier: barrier.n_waiting == 1, LONG)
        getattr(barrier, breaking)()
        with pytest.raises(threading.BrokenBarrierError):
            child.result()
        assert barrier.broken is (breaking == "abort")


@marks.coheld_only
def test_action_runs_in_the_last_process(manager_of_context, context, processes):
    """Stock runs it in the manager process."""
    pids = manager_of_context.list()
    barrier = manager_of_context.Barrier(2, AppendPid(pids))
    child = processes.start(context, call, barrier.wait, LONG)
    assert subject.wait_until(lambda: barrier.n_waiting == 1, LONG)
    assert barrier.wait(LONG) == 1
    assert child.result() == 0
    assert pids[:] == [os.getpid()]


class AppendPid:
    """An action that can be pickled and holds a proxy."""

    def __init__(self, pids):
        self.pids = pids

    def __call__(self):
        self.pids.append(os.getpid())


# Queues.


@pytest.mark.parametrize("size", [0, 5])
def test_three_producers_and_three_consumers(manager_of_context, context, processes, size):
    line = manager_of_context.Queue(size)
    number = 50 if subject.IS_STOCK else 500
    producers = [processes.start(context, produce, line, me, number) for me in range(3)]
    consumers = [processes.start(context, consume, line) for _ in range(3)]
    for producer in producers:
        producer.result(LONG + 10)
    for _ in consumers:
        line.put(None)
    got = [consumer.result(LONG + 10) for consumer in consumers]
    everything = [item for items in got for item in items]
    assert sorted(everything) == [(me, index) for me in range(3) for index in range(number)]
    # What one producer puts, each consumer gets in the same order.
    for items in got:
        for me in range(3):
            own = [index for producer, index in items if producer == me]
            assert own == sorted(own)
    line.join()
    assert line.empty()


def test_join_across_processes(manager_of_context, context, processes):
    line = manager_of_context.JoinableQueue()
    for _ in range(2):
        processes.start(context, work_off, line)
    for turn in range(3):
        for index in range(20):
            line.put((turn, index))
        line.join()
        assert line.empty()


def test_pool_of_workers(manager_of_context, context):
    line = manager_of_context.Queue()
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(line.put, range(30)))
    assert sorted(line.get() for _ in range(30)) == list(range(30))


# A bare os.fork().


def release_and_count(lock, condition, line, value):
    with condition:
        value.value += 1
        condition.notify()
    line.put(os.getpid())
    with lock:
        value.value += 1
    return True


@marks.coheld_only
def test_bare_fork(manager, processes):
    lock, condition = manager.Lock(), manager.Condition()
    line, value = manager.Queue(), manager.Value("i", 0)
    with condition:
        lock.acquire()
        child = processes.fork(release_and_count, lock, condition, line, value)
        assert condition.wait(LONG) is True
    assert value.value == 1
    assert line.get(True, LONG) == child
    lock.release()
    assert processes.join_fork(child) == 0
    assert value.value == 2


def is_not_mine(reentrant, semaphore):
    try:
        reentrant.release()
    except RuntimeError:
        return not reentrant.acquire(False) and not semaphore.acquire(False)


@marks.coheld_only
def test_forked_child_does_not_own_what_the_parent_does(manager, processes):
    reentrant, semaphore = manager.RLock(), manager.Semaphore(1)
    with reentrant, semaphore:
        assert processes.join_fork(processes.fork(is_not_mine, reentrant, semaphore)) == 0
    with warnings.catch_warnings():
        # The child ended, and did not end as an owner.
        warnings.simplefilter("error")
        assert reentrant.acquire(False) is True
        assert semaphore.acquire(False) is True


WAITING = """
import threading, time
import coheld

manager = coheld.Manager()
lock, semaphore, event = manager.RLock(), manager.Semaphore(0), manager.Event()
condition, barrier = manager.Condition(), manager.Barrier(2)
line, full = manager.Queue(), manager.Queue(1)
lock.acquire()
full.put(1)


def wait_notified():
    with condition:
        condition.wait()


def keep_busy():
    while True:
        full.full()
        event.wait(0.001)


waits = [lock.acquire, semaphore.acquire, event.wait, wait_notified, barrier.wait, line.get]
for wait in [*waits, lambda: full.put(2), full.join, keep_busy, keep_busy]:
    threading.Thread(target=wait, daemon=True).start()
time.sleep(0.1)
"""


@marks.coheld_only
@pytest.mark.parametrize("ending", ["", "manager.shutdown()"])
def test_program_ends_while_daemon_threads_wait(ending):
    for _ in range(5):
        ended = subprocess.run(
            [sys.executable, "-c", WAITING + ending], capture_output=True, text=True, timeout=LONG
        )
        assert (ended.returncode, ended.stderr) == (0, "")


@marks.coheld_only
def test_time_is_kept_while_others_use_the_interpreter(manager):
    """A wait lets go of the interpreter: another thread of this process can end it."""
    event, line = manager.Event(), manager.Queue()
    threads = [
        threading.Thread(target=lambda: line.put(event.wait(LONG))),
        threading.Thread(target=event.set),
    ]
    for thread in threads:
        thread.start()
    assert line.get(True, LONG) is True
    for thread in threads:
        thread.join()
    with pytest.raises(queue.Empty):
        line.get(True, 0.01)
