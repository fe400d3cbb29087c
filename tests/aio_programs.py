"""What the processes of the tests of `coheld.aio` run; a module that they can all import."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import queue
import random
import threading
import time

import coheld.aio

#: Ends what waits for items.
STOP = -1


def wrapped(*proxies):
    """A view of a proxy, or a list of views."""
    views = [coheld.aio.wrap(proxy) for proxy in proxies]
    return views if len(views) > 1 else views[0]


def number_of_threads() -> int:
    """Threads of this process as the kernel counts them."""
    return len(os.listdir("/proc/self/task"))


def run(function, *args):
    """What a child runs: a coroutine function."""
    return asyncio.run(function(*args))


async def until(condition, seconds: float = 20.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition does not hold in time"
        await asyncio.sleep(0.005)


async def a_thousand(items, ready, number: int):
    """So many tasks wait for an item each; what they got, in order, and the most threads."""
    tasks = [asyncio.ensure_future(items.get()) for _ in range(number)]
    await asyncio.sleep(0)
    await ready.put(number_of_threads())
    return await asyncio.gather(*tasks), number_of_threads()


async def get_and_be_cancelled(items, seed: int, number: int):
    """Get items by tasks that are cancelled all the time; what was got until STOP came."""
    chance = random.Random(seed)
    got, stopped = [], asyncio.Event()

    async def take_one():
        item = await items.get()
        if item == STOP:
            if stopped.is_set():
                # Meant for another process.
                items.put_nowait(STOP)
            stopped.set()
        else:
            # No `await` since it was taken: a task that is cancelled now has it nevertheless.
            got.append(item)

    tasks = set()
    while not stopped.is_set():
        while len(tasks) < number:
            tasks.add(asyncio.ensure_future(take_one()))
        await asyncio.sleep(chance.choice((0, 0, 0.0005, 0.002)))
        for task in chance.sample(sorted(tasks, key=id), number // 2):
            task.cancel()
        done = {task for task in tasks if task.done()}
        tasks -= done
        for task in done:
            with contextlib.suppress(asyncio.CancelledError):
                task.result()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return got


async def wait_for_ever(waiting, *views):
    """Wait for all of these at once, and say so; killed in the end."""
    tasks = [asyncio.ensure_future(view.get()) for view in views for _ in range(10)]
    await asyncio.sleep(0.01)
    await waiting.put(os.getpid())
    await asyncio.gather(*tasks)


async def keep_lock(lock, held):
    """Take a lock and never give it back."""
    await lock.acquire()
    held.set()
    await asyncio.sleep(3600)


async def count_up(lock, value, number: int, tasks: int):
    """Count with a gap between reading and writing that only the lock closes."""

    async def count():
        for _ in range(number):
            async with lock:
                before = value.value
                await asyncio.sleep(0)
                value.value = before + 1

    await asyncio.gather(*(count() for _ in range(tasks)))


async def pass_permits(semaphore, inside, tasks: int):
    """The most that were inside at once, as seen by this process."""
    most = 0

    async def enter():
        nonlocal most
        async with semaphore:
            most = max(most, inside.increment())
            await asyncio.sleep(0.001)
            inside.increment(-1)

    await asyncio.gather(*(enter() for _ in range(tasks)))
    return most


async def get_one(items):
    """Get an item by awaiting it."""
    return await items.get()


async def use_views(views):
    """Use views that have come from another process; their classes."""
    items, lock, event, condition, barrier = views
    async with lock:
        await items.put(os.getpid())
    await event.wait()
    async with condition:
        condition.notify()
    await barrier.wait()
    return [type(view).__name__ for view in views]


def put_blocking(items, number: int):
    """Put items in as any program does."""
    for item in range(number):
        items.put(item)


def loops_in_threads(function, *args, threads: int = 3):
    """Run a coroutine function on several loops, in a thread each; their results."""
    results: queue.Queue = queue.Queue()
    started = [
        threading.Thread(target=lambda: results.put(asyncio.run(function(*args))))
        for _ in range(threads)
    ]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return [results.get_nowait() for _ in started]


def counted(lists) -> collections.Counter:
    """How often each item is in any of these."""
    return collections.Counter(item for items in lists for item in items)
