"""`View`: what all awaitable views of shared objects have."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from asyncio import get_running_loop

from . import _watching
from ._line import line_of
from ._polling import Turns


class View:
    """An awaitable view of a shared object, which *proxy* is the ordinary proxy of."""

    def __init__(self, proxy):
        self._proxy = proxy
        self._lines = {}
        self._turns = {}

    @property
    def proxy(self):
        """The ordinary proxy of the same object."""
        return self._proxy

    def __reduce__(self):
        return type(self), (self._proxy,)

    def __repr__(self):
        return f"<{type(self).__name__} of {self._proxy!r}>"

    def _line(self, purpose):
        # None, if the object is out of reach.
        line = self._lines.get(purpose)
        if line is None or line.loop is not get_running_loop() or line.epoch is not _watching.epoch:
            line = self._lines[purpose] = line_of(self._proxy, purpose)
        return line

    def _take_now(self, purpose, argument=None):
        """Return what is there, if nobody comes before, in a tuple; else None."""
        line = self._line(purpose)
        return None if line is None or line.tickets else line.standing.attempt(argument)

    async def _take(self, purpose, argument, seconds, attempt, undo):
        """Wait for something, after `_take_now`; as that, and None when the time is over.

        *attempt* is the same operation without waiting, for an object out of reach: it returns
        what it got, or None. *undo* gives that back.
        """
        line = self._line(purpose)
        if line is not None:
            return await line.take(argument, seconds)
        turns = self._turns.get(purpose)
        if turns is None or turns.loop is not get_running_loop():
            turns = self._turns[purpose] = Turns(attempt, undo)
        return await turns.take(argument, seconds)


def seconds_of(timeout, words="'timeout' must be a non-negative number"):
    """Return a time-out, or raise what the standard library does about a negative one."""
    if timeout < 0:
        raise ValueError(words)
    return timeout
