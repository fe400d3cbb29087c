"""Events, conditions and barriers, awaited."""

from __future__ import annotations

import asyncio
import os
import threading

import aio_programs as programs
import marks
import pytest
from aio_programs import wrapped

pytestmark = marks.coheld_only


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
