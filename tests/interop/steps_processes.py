"""Steps: several threads and several processes of the client, and keys."""

from __future__ import annotations

import multiprocessing
import os
import threading

import ends
from battery import outcome, start_thread, step


@step(short=True)
def threads(world):
    shared, numbers = world.manager.dict(), world.manager.list()
    queue = world.manager.Queue()

    def work(number):
        for index in range(10):
            shared[number, index] = number * index
            numbers.append(number)
            queue.put((number, index))
        own = world.manager.list([number])
        own.append(number)
        return (
            own[:] == [number, number]
            and sum(shared[number, index] for index in range(10)) == 45 * number
        )

    workers = [start_thread(work, number) for number in range(8)]
    yield [worker() for worker in workers]
    yield len(shared), sorted(numbers[:]) == sorted(list(range(8)) * 10), queue.qsize()
    items = [queue.get() for _ in range(80)]
    yield all(
        [index for number, index in items if number == one] == list(range(10)) for one in range(8)
    )


@step()
def threads_of_a_lock(world):
    lock, value = world.manager.Lock(), world.manager.Value("i", 0)

    def work():
        for _ in range(10):
            with lock:
                value.value += 1

    workers = [start_thread(work) for _ in range(8)]
    yield [worker() for worker in workers], value.value


@step(short=True)
def calls_beside_one_that_waits(world):
    queue, shared = world.manager.Queue(), world.manager.list()
    waiter = start_thread(queue.get, timeout=20)
    for number in range(20):
        shared.append(number)
    yield len(shared), shared[5], world.manager.dict(a=1).copy()
    queue.put("awaited")
    yield waiter()


def child(shared, queue, counter, event):
    """What a process does that is given proxies."""
    ends.die_with_parent()
    shared.append(("child", shared[0]))
    inner = queue.get(timeout=20)
    inner["child"] = counter.add()
    queue.put([inner, shared])
    event.set()


def with_child(world, method):
    context = multiprocessing.get_context(method)
    shared, queue = world.manager.list(["first"]), world.manager.Queue()
    counter, event = world.manager.Counter(), world.manager.Event()
    inner = world.manager.dict()
    process = context.Process(target=child, args=(shared, queue, counter, event))
    process.start()
    queue.put(inner)
    waited = event.wait(30)
    process.join(30)
    if process.is_alive():
        process.kill()
    back = queue.get(timeout=20)
    return (
        (waited, process.exitcode, shared[:], inner.copy(), counter.value()),
        (back[0]["child"], back[0]._id == inner._id, back[1]._id == shared._id),
    )


@step(short=True)
def children_that_are_forked(world):
    yield with_child(world, "fork")


@step()
def children_that_are_spawned(world):
    yield with_child(world, "spawn")


@step()
def a_fork_with_live_proxies(world):
    shared = [world.manager.list([number]) for number in range(5)]
    lock = world.manager.Lock()
    lock.acquire()

    def work(number):
        ends.die_with_parent()
        with lock:
            shared[number].append(os.getpid())
        fresh = world.manager.list([number])
        shared[4].append(fresh[0])

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work, args=(number,)) for number in range(4)]
    for process in processes:
        process.start()
    yield [len(one) for one in shared[:4]], lock.release()
    for process in processes:
        process.join(30)
    yield [process.exitcode for process in processes]
    yield [one[1] for one in shared[:4]] == [process.pid for process in processes]
    yield sorted(shared[4][1:]), shared[0][0], lock.acquire(False)


@step()
def proxies_of_children(world):
    """What a child makes outlives it when it is kept inside another object."""
    shared = world.manager.list()

    def work():
        ends.die_with_parent()
        shared.append(world.manager.list(["of a child"]))
        shared.append(world.manager.Attributes(8))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(30)
    yield process.exitcode, shared[0][:], shared[1].add()


@step(short=True)
def wrong_keys(world):
    for key in (b"wrong", b"", world.key + b"x"):
        error = outcome(world.connect, authkey=key)
        # Coheld adds which manager it is.
        yield type(error).__name__, str(error).startswith("digest sent was rejected")
    yield world.connect().list([1])[:]


@step()
def many_connections(world):
    shared = world.manager.list()
    start = threading.Barrier(16)

    def work(number):
        start.wait(20)
        manager = world.connect()
        manager.list([number])
        shared.append(number)

    workers = [start_thread(work, number) for number in range(16)]
    yield [worker() for worker in workers], sorted(shared[:])
