"""Waiting for objects that this process cannot reach but by calls: threads for a short while."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

#: Calls that are made at once, at most.
CALLS = 32
#: Seconds between two looks, at first and at last.
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.05

_executor = None


def submit(function, *args, **kwds):
    """Run a call on a thread; return the future of it, which is not one of a loop."""
    global _executor
    if _executor is None:
        _executor = ThreadPoolExecutor(CALLS, thread_name_prefix="coheld-aio-call")
    return _executor.submit(function, *args, **kwds)


async def call(function, *args, **kwds):
    """Run a call on a thread and await its result."""
    return await asyncio.wrap_future(submit(function, *args, **kwds))


async def _finished(done):
    """Wait for the end of a call, also if that is cancelled meanwhile; whether it was."""
    cancelled = None
    while True:
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:
            pass
        if done.done():
            return cancelled


class Turns:
    """The tasks of one loop that wait for the same: the first of them asks, again and again."""

    def __init__(self, attempt, undo):
        self.loop = asyncio.get_running_loop()
        self._attempt = attempt
        self._undo = undo
        self._turn = asyncio.Lock()

    async def take(self, argument, seconds):
        """Return what was got in a tuple; None: the time is over."""
        end = None if seconds is None else self.loop.time() + seconds
        if end is None or not self._turn.locked():
            await self._turn.acquire()
        else:
            try:
                await asyncio.wait_for(self._turn.acquire(), max(seconds, 0))
            except asyncio.TimeoutError:
                return None
        try:
            return await self._ask(argument, end)
        finally:
            self._turn.release()

    async def _ask(self, argument, end):
        pause = _FIRST_PAUSE
        while True:
            done = asyncio.wrap_future(submit(self._attempt, argument))
            cancelled = await _finished(done)
            if cancelled is not None:
                # What was got belongs to nobody.
                if done.exception() is None and done.result() is not None:
                    await _finished(asyncio.wrap_future(submit(self._undo, *done.result())))
                raise cancelled
            if done.result() is not None:
                return done.result()
            if end is not None:
                left = end - self.loop.time()
                if left <= 0:
                    return None
                pause = min(pause, left)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)


def _begin_anew():
    global _executor
    _executor = None


os.register_at_fork(after_in_child=_begin_anew)
