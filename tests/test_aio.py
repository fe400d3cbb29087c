"""Queues and locks, awaited: `coheld.aio`."""

from __future__ import annotations

import asyncio
import multiprocessing
import queue
import threading
import time

import aio_programs as programs
import coheld
import coheld.aio
import marks
import pytest
from aio_programs import wrapped

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")

#: Those of a process that awaits: its own, that of the loop's watcher, and those that start and
#: stop managers or feed pipes.
MOST_THREADS = 6


# ---- Many tasks, many processes -----------------------------------------------------------------


@pytest.mark.timeout(180)
def test_a_thousand_tasks_in_each_of_four_processes_await_one_queue(context, processes):
    with coheld.Manager(ctx=context) as manager:
        items, ready = manager.Queue(), manager.Queue()
        views = wrapped(items, ready)
        children = [
            processes.start(context, programs.run, programs.a_thousand, *views, 1000)
            for _ in range(4)
        ]
        # All wait before there is anything to be had.
        threads = [ready.get(timeout=60) for _ in children]
        for item in range(4000):
            items.put(item)
        results = [child.result(60) for child in children]
    got = [taken for taken, _ in results]
    assert programs.counted(got) == dict.fromkeys(range(4000), 1)
    assert max(threads + [number for _, number in results]) <= MOST_THREADS


def test_tasks_of_a_loop_are_served_in_the_order_in_which_they_came(manager):
    async def main():
        items = wrapped(manager.Queue())
        tasks = [asyncio.ensure_future(items.get()) for _ in range(50)]
        await asyncio.sleep(0.01)
        for item in range(50):
            items.put_nowait(item)
        assert await asyncio.gather(*tasks) == list(range(50))

    asyncio.run(main())


@pytest.mark.timeout(180)
def test_a_storm_of_cancellations_loses_nothing(manager, processes):
    items = manager.Queue()
    view = wrapped(items)
    children = [
        processes.start(FORK, programs.run, programs.get_and_be_cancelled, view, seed, 20)
        for seed in range(3)
    ]
    for item in range(3000):
        items.put(item)
    # Whoever gets one of these takes no more.
    for _ in children:
        items.put(programs.STOP)
    got = programs.counted(child.result(60) for child in children)
    # The last stop may have gone to one that had stopped; then the others are still there.
    while not items.empty():
        item = items.get()
        if item != programs.STOP:
            got[item] += 1
    assert got == dict.fromkeys(range(3000), 1)


def test_three_hundred_events_need_no_thread_each(manager):
    async def main():
        events = [wrapped(manager.Event()) for _ in range(300)]
        tasks = [asyncio.ensure_future(event.wait()) for event in events]
        await asyncio.sleep(0.05)
        assert programs.number_of_threads() <= threads + 1
        for event in events:
            event.proxy.set()
        assert await asyncio.gather(*tasks) == [True] * 300

    threads = programs.number_of_threads()
    asyncio.run(main())


def test_the_thread_ends_when_nobody_waits(manager):
    async def main():
        view = wrapped(manager.Queue())
        with pytest.raises(queue.Empty):
            await view.get(timeout=0.01)
        assert any(thread.name == "coheld-aio" for thread in threading.enumerate())
        await programs.until(
            lambda: all(thread.name != "coheld-aio" for thread in threading.enumerate())
        )
        # And there is another one when somebody does again.
        task = asyncio.ensure_future(view.get())
        await asyncio.sleep(0.01)
        view.proxy.put("again")
        assert await task == "again"

    asyncio.run(main())


@pytest.mark.parametrize("is_woken", [False, True])
def test_a_task_that_was_told_and_is_cancelled_passes_that_on(manager, is_woken):
    async def main():
        items = wrapped(manager.Queue())
        tasks = [asyncio.ensure_future(items.get()) for _ in range(3)]
        await asyncio.sleep(0.01)
        items.put_nowait("one")
        # While the loop is busy, the first task is told once, and no more.
        time.sleep(0.3)
        if is_woken:
            items._line("get").wake()
        tasks[0].cancel()
        tasks[1].cancel()
        assert await tasks[2] == "one"

    asyncio.run(main())


def test_who_has_given_up_stands_in_no_line(manager):
    async def main():
        items = wrapped(manager.Queue())
        standing = items._line("get").standing
        with pytest.raises(queue.Empty):
            await items.get(timeout=0.01)
        task = asyncio.ensure_future(items.get())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        items.put_nowait(1)
        assert not standing.is_signalled()
        task = asyncio.ensure_future(items.get())
        assert await task == 1
        task = asyncio.ensure_future(items.get())
        await asyncio.sleep(0.01)
        items.put_nowait(2)
        # It is told what is for it.
        assert standing.is_signalled()
        assert await task == 2

    asyncio.run(main())


# ---- Queues --------------------------------------------------------------------------------------


def test_put_waits_for_room(manager, processes):
    async def main():
        items = wrapped(manager.Queue(2))
        tasks = [asyncio.ensure_future(items.put(item)) for item in range(10)]
        await asyncio.sleep(0.02)
        assert items.full()
        assert items.qsize() == 2
        with pytest.raises(queue.Full):
            await items.put(0, timeout=0.01)
        with pytest.raises(queue.Full):
            await items.put(0, block=False)
        child = processes.start(FORK, programs.run, programs.get_one, items)
        got = [await items.get() for _ in range(9)]
        await asyncio.gather(*tasks)
        got.append(await asyncio.get_running_loop().run_in_executor(None, child.result))
        assert sorted(got) == list(range(10))

    asyncio.run(main())


def test_times_of_a_queue(manager):
    async def main():
        items = wrapped(manager.Queue())
        for arguments in ({"timeout": 0.01}, {"timeout": 0}, {"block": False}):
            with pytest.raises(queue.Empty):
                await items.get(**arguments)
        with pytest.raises(ValueError, match="non-negative"):
            await items.get(timeout=-1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(items.get(), 0.01)
        # Who comes later has more time.
        first = asyncio.ensure_future(items.get(timeout=0.02))
        second = asyncio.ensure_future(items.get(timeout=60))
        with pytest.raises(queue.Empty):
            await first
        items.put_nowait("late")
        assert await second == "late"

    asyncio.run(main())


def test_join_waits_until_all_is_done(manager):
    async def main():
        items = wrapped(manager.JoinableQueue())
        for item in range(3):
            await items.put(item)
        joining = [asyncio.ensure_future(items.join()) for _ in range(5)]
        for _ in range(3):
            await items.get()
            assert not any(task.done() for task in joining)
            await asyncio.sleep(0.01)
            items.task_done()
        await asyncio.gather(*joining)
        with pytest.raises(ValueError, match="too many times"):
            items.task_done()

    asyncio.run(main())


def test_a_shutdown_is_heard_by_all(manager):
    async def main():
        items, full = wrapped(manager.Queue(), manager.Queue(1))
        await full.put(0)
        tasks = [asyncio.ensure_future(items.get()) for _ in range(20)]
        tasks += [asyncio.ensure_future(full.put(1)) for _ in range(20)]
        await asyncio.sleep(0.02)
        items.shutdown()
        full.proxy.shutdown(immediate=True)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(outcome, coheld.ShutDown)

    asyncio.run(main())


def test_who_awaits_and_who_blocks_share_a_queue(manager):
    async def main():
        items = wrapped(manager.Queue())
        blocking = [threading.Thread(target=lambda: got.append(items.proxy.get()))]
        blocking += [threading.Thread(target=lambda: got.append(items.proxy.get()))]
        for thread in blocking:
            thread.start()
        tasks = [asyncio.ensure_future(items.get()) for _ in range(20)]
        await asyncio.sleep(0.02)
        programs.put_blocking(items.proxy, 22)
        got.extend(await asyncio.gather(*tasks))
        await programs.until(lambda: len(got) == 22)
        for thread in blocking:
            thread.join()

    got: list[int] = []
    asyncio.run(main())
    assert sorted(got) == list(range(22))


# ---- Locks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore"])
def test_a_lock_between_tasks_loops_and_processes(manager, processes, kind):
    lock, value = wrapped(getattr(manager, kind)()), manager.Value("i", 0)
    children = [
        processes.start(FORK, programs.run, programs.count_up, lock, value, 20, 10)
        for _ in range(2)
    ]
    programs.loops_in_threads(programs.count_up, lock, value, 20, 5, threads=2)
    for child in children:
        child.result()
    assert value.value == 2 * 20 * 10 + 2 * 20 * 5
    assert not lock.locked()


def test_a_semaphore_lets_so_many_in(manager, processes):
    semaphore, inside = wrapped(manager.Semaphore(3)), manager.Value("i", 0)
    children = [
        processes.start(FORK, programs.run, programs.pass_permits, semaphore, inside, 30)
        for _ in range(2)
    ]
    assert all(child.result() <= 3 for child in children)
    assert inside.value == 0


def test_times_of_a_lock(manager):
    async def main():
        lock = wrapped(manager.Lock())
        assert await lock.acquire()
        assert lock.locked()
        assert lock.proxy.locked()
        assert not await lock.acquire(timeout=0.01)
        assert not await lock.acquire(blocking=False)
        with pytest.raises(ValueError):
            await lock.acquire(blocking=False, timeout=1)
        with pytest.raises(ValueError):
            await lock.acquire(timeout=-2)
        task = asyncio.ensure_future(lock.acquire(timeout=-1))
        await asyncio.sleep(0.01)
        lock.release()
        assert await task
        lock.release()
        with pytest.raises(RuntimeError):
            lock.release()

    asyncio.run(main())


def test_a_cancelled_task_passes_its_turn_on(manager):
    async def main():
        lock = wrapped(manager.Lock())
        await lock.acquire()
        tasks = [asyncio.ensure_future(lock.acquire()) for _ in range(4)]
        await asyncio.sleep(0.01)
        # The first has been woken when it is cancelled, and has not run.
        line = lock._line("acquire")
        line.wake()
        tasks[0].cancel()
        tasks[1].cancel()
        lock.release()
        assert await tasks[2]
        assert not tasks[3].done()
        lock.release()
        assert await tasks[3]
        lock.release()
        assert not lock.locked()

    asyncio.run(main())


def test_an_rlock_belongs_to_a_task(manager):
    async def take(lock, inside):
        assert not await lock.acquire(blocking=False)
        assert not await lock.acquire(timeout=0.001)
        with pytest.raises(RuntimeError, match="un-acquired"):
            lock.release()
        async with lock:
            inside.append(1)

    async def main():
        lock, inside = wrapped(manager.RLock()), []
        async with lock:
            async with lock:
                assert await lock.acquire(blocking=False)
                lock.release()
                # Another view of the same lock.
                other = asyncio.ensure_future(take(wrapped(lock.proxy), inside))
                await asyncio.sleep(0.02)
                assert inside == []
            await asyncio.sleep(0.02)
            assert inside == []
        await other
        assert inside == [1]
        with pytest.raises(RuntimeError, match="un-acquired"):
            lock.release()

    asyncio.run(main())
