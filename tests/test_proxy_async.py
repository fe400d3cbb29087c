"""Awaiting objects of another process on an event loop of this one."""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing
import os
import signal
import threading

import coheld
import marks
import proxy_classes as classes
import pytest
import subject
from coheld import ManagerGone, proxy
from coheld.proxy import ProxyError, ProxyServer

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def target():
    return classes.Awaited()


@pytest.fixture
def shared(target):
    with ProxyServer(bufsize=200) as server:
        yield server.create_proxy(target)


def in_loop(function, *args):
    """What a child runs: a coroutine function."""
    return asyncio.run(function(*args))


async def use(shared):
    assert await shared.double(21) == 42
    assert inspect.iscoroutine(coroutine := shared.double(1))
    assert await asyncio.create_task(coroutine) == 2
    assert [number async for number in shared.numbers(4)] == [0, 1, 2, 3]
    with pytest.raises(KeyError, match="nothing there") as caught:
        await shared.fail()
    assert isinstance(caught.value, ProxyError)
    async with shared as entered:
        assert entered is shared
        raise ValueError("is swallowed")
    with pytest.raises(KeyError):
        async with shared:
            raise KeyError("is not")
    made = await shared.make()
    assert proxy.is_proxy(made) and made.value == 5
    assert shared.process() != os.getpid()
    return True


def test_everything_that_is_awaited(shared, processes, context):
    assert processes.run(context, in_loop, use, shared)


def test_awaitables_as_targets(processes):
    async def forty_two():
        await asyncio.sleep(0)
        return 42

    shared = coheld.share(forty_two())

    async def wait():
        return await shared

    assert processes.run(FORK, in_loop, wait) == 42


def test_futures_belong_to_their_loop(processes):
    """The owner's loop goes on, and what it sets is what is awaited elsewhere."""

    async def main():
        future = asyncio.get_running_loop().create_future()
        shared = coheld.share(future)

        async def wait():
            return await shared

        child = processes.start(FORK, in_loop, wait)
        await asyncio.sleep(0.1)
        future.set_result("done")
        return await asyncio.get_running_loop().run_in_executor(None, child.result)

    assert asyncio.run(main()) == "done"


def test_coroutines_run_on_the_loop_where_the_object_was_shared(processes):
    class Where:
        async def thread(self):
            return threading.get_ident()

    async def main():
        shared = coheld.share(Where())

        async def ask():
            return await shared.thread()

        child = processes.start(FORK, in_loop, ask)
        return await asyncio.get_running_loop().run_in_executor(None, child.result)

    assert asyncio.run(main()) == threading.get_ident()


def test_the_loop_goes_on_meanwhile(shared, processes):
    async def many():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticking = asyncio.create_task(tick())
        found = await asyncio.gather(*(shared.double(x, 0.5) for x in range(200)))
        ticking.cancel()
        assert found == [2 * x for x in range(200)]
        return ticks

    assert processes.run(FORK, in_loop, many) > 5


def test_no_thread_waits(shared, processes):
    async def many():
        tasks = [asyncio.create_task(shared.for_ever()) for _ in range(300)]
        while shared.running < 300:
            await asyncio.sleep(0.01)
        threads = threading.active_count()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return threads

    # Those of the loop's executor, which begins the calls, and one that reads their outcomes.
    assert processes.run(FORK, in_loop, many) < 50


def test_who_is_cancelled_cancels_there(shared, target, processes):
    async def cancel():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(shared.for_ever(), 0.2)
        while shared.cancelled == 0:
            await asyncio.sleep(0.01)
        return await shared.double(1)

    assert processes.run(FORK, in_loop, cancel) == 2
    assert (target.running, target.cancelled) == (1, 1)


def test_callbacks_from_coroutines(shared, processes):
    async def call():
        return await shared.apply(lambda x: (os.getpid(), x), 3), os.getpid()

    (where, value), here = processes.run(FORK, in_loop, call)
    assert (where, value) == (here, 3)


def test_an_owner_that_is_killed_is_an_error(processes):
    mine, theirs = FORK.Pipe()

    def serve():
        theirs.send(coheld.share(classes.Awaited()))
        theirs.recv()

    owner = processes.start(FORK, serve)
    shared = mine.recv()

    async def wait():
        task = asyncio.create_task(shared.for_ever())
        while shared.running == 0:
            await asyncio.sleep(0.01)
        theirs.send("begun")
        with pytest.raises(ProxyError) as caught:
            await task
        with pytest.raises(ProxyError):
            await shared.double(1)
        return isinstance(caught.value, ManagerGone)

    child = processes.start(FORK, in_loop, wait)
    assert mine.recv() == "begun"
    owner.kill()
    assert child.result()


def test_loops_that_are_closed_with_something_awaited(shared, target, processes):
    def run():
        async def begin():
            asyncio.create_task(shared.for_ever())
            while shared.running == 0:
                await asyncio.sleep(0.01)

        asyncio.run(begin())
        return asyncio.run(use_again())

    async def use_again():
        while shared.cancelled == 0:
            await asyncio.sleep(0.01)
        return await shared.double(2)

    assert processes.run(FORK, run) == 4


def test_a_fork_while_something_is_awaited(shared, processes):
    async def wait_and_fork():
        task = asyncio.create_task(shared.double(1, 0.3))
        while not task.done():
            await asyncio.sleep(0.05)
            pid = processes.fork(in_child)
            _, status = await asyncio.get_running_loop().run_in_executor(None, os.waitpid, pid, 0)
            assert status == 0
        return await task

    def in_child():
        async def ask():
            return await shared.double(5)

        loop = asyncio.new_event_loop()
        asyncio.events._set_running_loop(None)
        return loop.run_until_complete(ask()) == 10

    assert processes.run(FORK, in_loop, wait_and_fork) == 2


def test_a_stopped_owner_does_not_stop_the_loop(processes):
    mine, theirs = FORK.Pipe()

    def serve():
        theirs.send(coheld.share(classes.Awaited()))
        theirs.recv()

    owner = processes.start(FORK, serve)
    shared = mine.recv()

    async def wait():
        assert await shared.double(1) == 2
        subject.stop(owner.pid)
        try:
            task = asyncio.create_task(shared.double(2))
            for _ in range(20):
                await asyncio.sleep(0.01)
            assert not task.done()
        finally:
            os.kill(owner.pid, signal.SIGCONT)
        return await task

    assert processes.run(FORK, in_loop, wait) == 4
