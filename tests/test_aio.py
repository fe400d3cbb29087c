"""Queues and what else waits, awaited: `coheld.aio`."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import threading
import warnings

import aio_programs as programs
import coheld
import coheld.aio
import marks
import pytest

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")

#: Those of a process that awaits: its own, that of the loop's watcher, and those that start and
#: stop managers or feed pipes.
MOST_THREADS = 6


@pytest.fixture
def manager():
    with coheld.Manager(ctx=FORK) as started:
        yield started


def wrapped(*proxies):
    views = [coheld.aio.wrap(proxy) for proxy in proxies]
    return views if len(views) > 1 else views[0]


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


# ---- Events, conditions, barriers ----------------------------------------------------------------


def test_an_event_wakes_all_who_wait_and_no_one_who_comes_later(manager):
    async def main():
        event = wrapped(manager.Event())
        assert not await event.wait(timeout=0.01)
        assert not await event.wait(timeout=0)
        tasks = [asyncio.ensure_future(event.wait()) for _ in range(100)]
        await asyncio.sleep(0.02)
        # Taken back before any of the tasks can run.
        event.set()
        event.clear()
        later = asyncio.ensure_future(event.wait(timeout=0.1))
        assert await asyncio.gather(*tasks) == [True] * 100
        assert not await later
        event.set()
        assert await event.wait()

    asyncio.run(main())


@pytest.mark.parametrize("kind", [None, "Lock", "RLock", "Semaphore"])
def test_a_condition_wakes_as_many_as_it_is_told(manager, kind):
    async def wait(condition):
        async with condition:
            return await condition.wait()

    async def notify(condition, number):
        async with condition:
            condition.notify(number)

    async def main():
        arguments = () if kind is None else (getattr(manager, kind)(),)
        condition = wrapped(manager.Condition(*arguments))
        tasks = [asyncio.ensure_future(wait(condition)) for _ in range(30)]
        await asyncio.sleep(0.05)
        assert not condition.locked()
        await notify(condition, 10)
        await programs.until(lambda: sum(task.done() for task in tasks) == 10)
        # A notification that nobody comes for goes to the next.
        async with condition:
            condition.notify()
            waiting = [task for task in tasks if not task.done()]
            waiting[0].cancel()
            await asyncio.sleep(0)
        await programs.until(lambda: sum(task.done() for task in waiting) == 2)
        assert waiting[0].cancelled()
        assert waiting[1].result()
        async with condition:
            condition.notify_all()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(outcome is True for outcome in outcomes) == 29
        async with condition:
            assert not await condition.wait(timeout=0.01)
        assert not condition.locked()
        with pytest.raises(RuntimeError, match="un-acquired"):
            await condition.wait()
        if kind != "Semaphore":
            with pytest.raises(RuntimeError, match="un-acquired"):
                condition.notify()

    asyncio.run(main())


def test_wait_for_a_predicate(manager):
    async def main():
        condition = wrapped(manager.Condition())
        values: list[int] = []

        async def wait():
            async with condition:
                return await condition.wait_for(lambda: len(values) == 3 and "all")

        task = asyncio.ensure_future(wait())
        for value in range(3):
            await asyncio.sleep(0.005)
            async with condition:
                values.append(value)
                condition.notify_all()
        assert await task == "all"
        async with condition, condition:
            # Acquired twice, and so it is afterwards.
            assert await condition.wait_for(lambda: 0, timeout=0.02) == 0
        assert not condition.locked()

    asyncio.run(main())


def test_a_barrier_lets_all_through_and_breaks(manager):
    async def main():
        barrier = wrapped(manager.Barrier(5))
        for _ in range(20):
            numbers = await asyncio.gather(*(barrier.wait() for _ in range(5)))
            assert sorted(numbers) == list(range(5))
        # Who is cancelled has not come; the others go on waiting for another one.
        tasks = [asyncio.ensure_future(barrier.wait()) for _ in range(4)]
        await asyncio.sleep(0.01)
        assert barrier.n_waiting == 4
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        assert barrier.n_waiting == 3
        assert not barrier.broken
        more = [asyncio.ensure_future(barrier.wait()) for _ in range(2)]
        await asyncio.gather(*tasks[1:], *more)
        tasks = [asyncio.ensure_future(barrier.wait()) for _ in range(3)]
        await asyncio.sleep(0.01)
        with pytest.raises(threading.BrokenBarrierError):
            await barrier.wait(timeout=0.01)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(outcome, threading.BrokenBarrierError)
        assert barrier.broken
        barrier.reset()
        tasks = [asyncio.ensure_future(barrier.wait()) for _ in range(3)]
        await asyncio.sleep(0.01)
        barrier.abort()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(outcome, threading.BrokenBarrierError)
        assert barrier.parties == 5

    asyncio.run(main())


def act():
    os.environ["COHELD_TEST_ACTION"] = "done"


def test_the_action_of_a_barrier_and_its_time(manager, monkeypatch):
    monkeypatch.delenv("COHELD_TEST_ACTION", raising=False)

    async def main():
        barrier = wrapped(manager.Barrier(2, act, 0.02))
        await asyncio.gather(barrier.wait(), barrier.wait())
        assert os.environ["COHELD_TEST_ACTION"] == "done"
        with pytest.raises(threading.BrokenBarrierError):
            await barrier.wait()

    asyncio.run(main())


# ---- Deaths, forks, loops that end ---------------------------------------------------------------


def test_others_are_served_when_a_process_dies_in_line(manager, processes):
    items, more, waiting = wrapped(manager.Queue(), manager.Queue(), manager.Queue())
    victim = processes.start(FORK, programs.run, programs.wait_for_ever, waiting, items, more)
    assert waiting.proxy.get(timeout=30) == victim.pid
    survivor = processes.start(FORK, programs.run, programs.get_one, items)

    async def main():
        tasks = [asyncio.ensure_future(view.get()) for view in (more, more)]
        await asyncio.sleep(0.05)
        # It stands first in line, and does not come for what is put now.
        os.kill(victim.pid, signal.SIGSTOP)
        for item in range(3):
            items.put_nowait(item)
            more.put_nowait(item)
        victim.kill()
        return await asyncio.gather(*tasks)

    assert sorted(asyncio.run(main())) == [0, 1]
    assert survivor.result() in (0, 1, 2)


def test_a_lock_of_the_dead_is_acquired_with_a_warning(manager, processes):
    lock, held = wrapped(manager.Lock(), manager.Event())
    victim = processes.start(FORK, programs.run, programs.keep_lock, lock, held)
    assert held.proxy.wait(30)

    async def main():
        tasks = [asyncio.ensure_future(lock.acquire()) for _ in range(3)]
        await asyncio.sleep(0.05)
        victim.kill()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for task in tasks:
                assert await task
                lock.release()
        assert [warning.category for warning in caught] == [coheld.OwnerDiedWarning]
        assert str(victim.pid) in str(caught[0].message)

    asyncio.run(main())


def test_a_fork_with_waiters_pending(manager, processes):
    async def main():
        items = wrapped(manager.Queue())
        tasks = [asyncio.ensure_future(items.get()) for _ in range(100)]
        await asyncio.sleep(0.02)
        loop = asyncio.get_running_loop()
        # The child has the objects of all these tasks, and a loop, a thread, a place of its own.
        with warnings.catch_warnings():
            # From Python 3.12 on, about threads in general.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = processes.start(FORK, programs.run, programs.get_one, items)
        for item in range(101):
            await items.put(item)
        got = await asyncio.gather(*tasks)
        got.append(await loop.run_in_executor(None, child.result))
        assert sorted(got) == list(range(101))

    asyncio.run(main())


def test_a_closed_loop_leaves_no_place_in_line(manager):
    """A place that was left behind would get the notification that is meant for the next."""
    condition = manager.Condition(manager.Lock())
    notified: list[bool] = []

    async def wait():
        # No `async with`: at its end there would be a lock to release.
        await wrapped(condition).acquire()
        await wrapped(condition).wait()

    def block():
        with condition:
            notified.append(condition.wait(30))

    loop = asyncio.new_event_loop()
    task = loop.create_task(wait())
    loop.run_until_complete(asyncio.sleep(0.05))
    thread = threading.Thread(target=block)
    thread.start()
    loop.close()

    async def look():
        # The thread that watches comes round once a second.
        task = asyncio.ensure_future(wrapped(manager.Event()).wait())
        await asyncio.sleep(2.5)
        task.cancel()

    asyncio.run(look())
    with condition:
        condition.notify()
    thread.join(20)
    assert notified == [True]
    # Kept until here, so that it was not the end of the task that has left the line.
    task._log_destroy_pending = False
    task.get_coro().close()


def test_a_loop_that_is_dropped_leaves_no_place_in_line(manager):
    """As above, of a loop that nobody has closed and nobody can run any more."""
    condition = manager.Condition(manager.Lock())
    notified: list[bool] = []

    async def wait():
        # No `async with`: at its end there would be a lock to release.
        await wrapped(condition).acquire()
        await wrapped(condition).wait()

    def block():
        with condition:
            notified.append(condition.wait(30))

    loop = asyncio.new_event_loop()
    task = loop.create_task(wait())
    task._log_destroy_pending = False
    loop.run_until_complete(asyncio.sleep(0.05))
    thread = threading.Thread(target=block)
    thread.start()
    with warnings.catch_warnings():
        # About the loop.
        warnings.simplefilter("ignore", ResourceWarning)
        del loop, task
        gc.collect()
    with condition:
        condition.notify()
    thread.join(20)
    assert notified == [True]


PROGRAM = """
import asyncio, sys
import coheld.aio

async def main():
    async with coheld.aio.Manager() as manager:
        print("waits", flush=True)
        await manager.Queue().get()

if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_it_can_be_interrupted(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout.readline() == "waits\n"
        program.send_signal(signal.SIGINT)
        assert program.stdout.read() == "interrupted\n"
    assert program.returncode == 0


ENDING = """
import asyncio, threading
import coheld.aio

manager = coheld.Manager()
items = coheld.aio.wrap(manager.Queue())

async def wait():
    await asyncio.gather(*(items.get() for _ in range(100)))

threading.Thread(target=lambda: asyncio.run(wait()), daemon=True).start()
import time
time.sleep(0.1)
print("ends")
"""


def test_a_program_may_end_while_tasks_wait():
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ends\n", "")


# ---- Views and managers --------------------------------------------------------------------------


def test_views_go_to_other_processes(context, processes):
    with coheld.Manager(ctx=context) as manager:
        proxies = manager.Queue(), manager.Lock(), manager.Event(), manager.Condition()
        views = wrapped(*proxies, manager.Barrier(2))
        child = processes.start(context, programs.run, programs.use_views, views)

        async def main():
            assert await views[0].get() == child.pid
            async with views[3]:
                views[2].set()
                assert await views[3].wait(30)
            await views[4].wait()

        asyncio.run(main())
        assert child.result() == [type(view).__name__ for view in views]


def test_what_is_wrapped(manager):
    shared = manager.list([1])
    assert coheld.aio.wrap(shared) is shared
    view = coheld.aio.wrap(manager.Queue())
    assert coheld.aio.wrap(view) is view
    assert "QueueView" in repr(view)
    with pytest.raises(TypeError, match="proxy"):
        coheld.aio.wrap([1])


class Slow:
    def double(self, number):
        return 2 * number

    def fail(self):
        raise KeyError("no")


class OwnManager(coheld.aio.SyncManager):
    pass


OwnManager.register("Slow", Slow)


def test_a_manager_of_awaitable_objects():
    async def main():
        async with OwnManager(ctx=FORK) as manager:
            items, lock, shared = manager.Queue(), manager.Lock(), manager.dict()
            async with lock:
                shared["key"] = "value"
                await items.put(shared["key"])
            assert await items.get() == "value"
            slow = manager.Slow()
            assert isinstance(slow, coheld.aio.CallView)
            assert await slow.double(21) == 42
            with pytest.raises(KeyError):
                await slow.fail()
            assert await (await manager.create("Slow")).double(1) == 2
            assert isinstance(await manager.create("Event"), coheld.aio.EventView)
            assert manager.address == manager.manager.address
            with pytest.raises(AttributeError):
                _ = manager.nothing
            process = manager.manager._process
            assert process.is_alive()
        assert not process.is_alive()
        assert not hasattr(coheld.aio.SyncManager, "Slow")

    asyncio.run(main())


def test_a_start_that_is_cancelled_leaves_no_process():
    async def main():
        manager = coheld.aio.Manager(ctx=FORK)
        starting = asyncio.ensure_future(manager.start())
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        inner = manager.manager
        # Either it was not started, or it is stopped again.
        await programs.until(lambda: inner._state.value in (0, 2))
        if hasattr(inner, "_process"):
            await programs.until(lambda: not inner._process.is_alive())

    asyncio.run(main())


def test_objects_out_of_reach_are_awaited_too(processes):
    with coheld.managers.SyncManager(("127.0.0.1", 0), b"key of a test", ctx=FORK) as manager:
        run = processes.start(FORK, use_from_afar, manager.address)
        assert run.result() == "done"


def use_from_afar(address):
    os.environ["COHELD_ROUTE"] = "wire"

    async def main():
        manager = coheld.aio.SyncManager(address, b"key of a test")
        await manager.connect()
        items = await manager.create("Queue")
        tasks = [asyncio.ensure_future(items.get()) for _ in range(40)]
        await asyncio.sleep(0.05)
        for task in tasks[:10]:
            task.cancel()
        for item in range(30):
            await items.put(item)
        got = await asyncio.gather(*tasks[10:])
        assert sorted(got) == list(range(30))
        with pytest.raises(queue.Empty):
            await items.get(timeout=0.01)
        lock, event = await manager.create("Lock"), await manager.create("Event")
        async with lock:
            assert not await lock.acquire(timeout=0.01)
        task = asyncio.ensure_future(event.wait())
        event.set()
        assert await task
        shared = await manager.create("dict", {"a": 1})
        assert await shared.get("a") == 1
        assert programs.number_of_threads() < 45
        for typeid in ("Condition", "Barrier", "RLock"):
            view = await manager.create(typeid, *((2,) if typeid == "Barrier" else ()))
            with pytest.raises(TypeError):
                await (view.wait() if typeid != "RLock" else view.acquire())
        return "done"

    return asyncio.run(main())
