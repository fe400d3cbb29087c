"""Processes that die or fork, loops that end, while tasks wait for shared objects."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
import subprocess
import sys
import threading
import warnings

import aio_programs as programs
import coheld
import coheld.aio
import marks
import subject
from aio_programs import wrapped

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")


def test_others_are_served_when_a_process_dies_in_line(manager, processes):
    items, more, waiting = wrapped(manager.Queue(), manager.Queue(), manager.Queue())
    victim = processes.start(FORK, programs.run, programs.wait_for_ever, waiting, items, more)
    assert waiting.proxy.get(timeout=30) == victim.pid
    survivor = processes.start(FORK, programs.run, programs.get_one, items)

    async def main():
        tasks = [asyncio.ensure_future(view.get()) for view in (more, more)]
        await asyncio.sleep(0.05)
        # It stands first in line, and does not come for what is put now.
        subject.stop(victim.pid)
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


class Waiting:
    """A condition with a task in its line, and behind that a thread, for which the one notification
    is meant."""

    def __init__(self, manager) -> None:
        self.condition = manager.Condition(manager.Lock())
        self.thread = threading.Thread(target=self.block)
        self.notified: list[bool] = []

    async def wait(self) -> None:
        # No `async with`: at its end there would be a lock to release.
        await wrapped(self.condition).acquire()
        await wrapped(self.condition).wait()

    def block(self) -> None:
        with self.condition:
            self.notified.append(self.condition.wait(30))

    def is_notified(self) -> bool:
        with self.condition:
            self.condition.notify()
        self.thread.join(20)
        return self.notified == [True]


def test_a_closed_loop_leaves_no_place_in_line(manager):
    """A place that was left behind would get the notification that is meant for the next."""
    waiting = Waiting(manager)
    loop = asyncio.new_event_loop()
    task = loop.create_task(waiting.wait())
    loop.run_until_complete(asyncio.sleep(0.05))
    waiting.thread.start()
    loop.close()

    async def look():
        # The thread that watches comes round once a second.
        task = asyncio.ensure_future(wrapped(manager.Event()).wait())
        await asyncio.sleep(2.5)
        task.cancel()

    asyncio.run(look())
    assert waiting.is_notified()
    # Kept until here, so that it was not the end of the task that has left the line.
    task._log_destroy_pending = False
    task.get_coro().close()


def test_a_party_of_a_closed_loop_is_as_one_that_has_died(manager):
    barrier = manager.Barrier(2)
    loop = asyncio.new_event_loop()
    task = loop.create_task(wrapped(barrier).wait())
    loop.run_until_complete(asyncio.sleep(0.05))
    assert barrier.n_waiting == 1
    loop.close()
    assert subject.wait_until(lambda: barrier.broken)
    assert barrier.n_waiting == 0
    task._log_destroy_pending = False
    task.get_coro().close()


def test_a_loop_that_is_dropped_leaves_no_place_in_line(manager):
    """As above, of a loop that nobody has closed and nobody can run any more."""
    waiting = Waiting(manager)
    loop = asyncio.new_event_loop()
    task = loop.create_task(waiting.wait())
    task._log_destroy_pending = False
    loop.run_until_complete(asyncio.sleep(0.05))
    waiting.thread.start()
    with warnings.catch_warnings():
        # About the loop.
        warnings.simplefilter("ignore", ResourceWarning)
        del loop, task
        gc.collect()
    assert waiting.is_notified()


PROGRAM = """
import asyncio, signal, sys
import coheld.aio

# Who starts the tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

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
