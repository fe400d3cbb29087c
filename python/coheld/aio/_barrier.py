"""Views of barriers."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import asyncio
import threading

from .. import _coheld
from ._line import own_line
from ._view import View


class BarrierView(View):
    """A barrier that is waited at by awaiting it."""

    async def wait(self, timeout=None):
        """Wait until all parties have come; return a number from 0 on, another one for each.

        Without a time-out that of the barrier counts. When the time is over for one party, the
        barrier is broken for all; a party that is cancelled is one less that has come. The action
        is called by the party that comes last, on its loop.
        """
        if _coheld.waited_place(self._proxy, "party") is None:
            raise TypeError("only a barrier in the memory of this process can be awaited")
        if timeout is None:
            timeout = _coheld.barrier_timeout(self._proxy)
        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        while True:
            line = own_line(self._proxy, "party")
            passed = line.arrive(timeout is None or timeout > 0)
            if passed is None:
                passed = await self._others(line, end)
            if passed[0] is not None:
                return passed[0]
            # Those before have gone: now it has come.

    async def _others(self, line, end):
        try:
            left = None if end is None else max(end - line.loop.time(), 0)
            passed = await line.hear(left)
            if passed is None and not line.standing.lose_patience():
                # All have come: it depends on the action alone.
                passed = await line.hear()
        finally:
            line.standing.leave()
        if passed is None:
            raise threading.BrokenBarrierError
        return passed

    def abort(self):
        """Break the barrier: whoever waits or comes gets a `BrokenBarrierError`."""
        self._proxy.abort()

    def reset(self):
        """Make the barrier as new: whoever waits gets a `BrokenBarrierError`."""
        self._proxy.reset()

    @property
    def parties(self):
        """How many parties have to come."""
        return self._proxy.parties

    @property
    def n_waiting(self):
        """How many parties wait."""
        return self._proxy.n_waiting

    @property
    def broken(self):
        """Whether the barrier is broken."""
        return self._proxy.broken
