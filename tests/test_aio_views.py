"""Awaitable views and managers: where they come from, where they go."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import queue

import aio_programs as programs
import coheld
import coheld.aio
import marks
import pytest
from aio_programs import wrapped

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")


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
        for timeout in (0.01, 0):
            with pytest.raises(queue.Empty):
                await items.get(timeout=timeout)
        await items.put("there")
        assert await items.get(timeout=0) == "there"
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
