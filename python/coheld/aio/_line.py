"""Lines: the tasks of one loop that wait for the same, first come first served."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import asyncio
import collections
import weakref

from .. import _coheld
from . import _watching

#: The lines of each loop, by what is waited for. Who waits keeps its line, and so do views.
_lines = weakref.WeakKeyDictionary()

#: What is there for all who wait for it.
_SHARED = ("event", "join")


class _Ticket:
    """One task that waits."""

    __slots__ = ("future", "is_late", "is_woken")

    def __init__(self):
        self.future = None
        #: Whether its time is over.
        self.is_late = False
        #: Whether it was its turn to try, and it has not tried yet.
        self.is_woken = False

    def expire(self):
        self.is_late = True
        self.wake()

    def wake(self):
        if not self.future.done():
            self.future.set_result(None)


class Line:
    """The tasks of one loop that wait for one thing, with one place in the line of the object.

    They have the place as long as there are any. The first of them tries, on its loop and with no
    ``await`` between the try and the end of its wait: a task that is cancelled has taken nothing.
    """

    def __init__(self, loop, proxy, purpose, segment):
        self.loop = loop
        self.epoch = _watching.epoch
        self._is_shared = purpose in _SHARED
        self._watcher = _watching.watcher_of(proxy, segment)
        self.standing = _coheld.Standing(proxy, purpose, self._watcher.watch)
        self._watcher.introduce(self)
        #: In the order in which they came.
        self.tickets = collections.OrderedDict()

    def is_over(self):
        """Whether those who wait have been told already, so that newcomers wait elsewhere."""
        return bool(self.tickets) and self.standing.is_signalled()

    def stand(self):
        """Take a place in line; what the standing says of it."""
        done = self.standing.stand()
        self._watcher.begin()
        return done

    def arrive(self, waits):
        """Come to a barrier; what the standing says of it."""
        done = self.standing.arrive(waits)
        self._watcher.begin()
        return done

    def abandon(self):
        """Leave the line, in the place of a loop that is closed."""
        self.standing.leave(False)

    def wake(self):
        """Have the first task try, or all of them. Called on the loop."""
        try:
            for ticket in self.tickets:
                # Also if it is just being cancelled: it passes its turn on then.
                ticket.is_woken = True
                ticket.wake()
                if not self._is_shared:
                    break
        except RuntimeError:
            if not self.loop.is_closed():
                raise
            self.abandon()

    async def take(self, argument=None, seconds=None):
        """Try until it succeeds, and return the result in a tuple; None: the time is over.

        Whoever finds no tickets here tries by `standing.attempt` before.
        """
        ticket = _Ticket()
        self.tickets[ticket] = None
        done = None
        try:
            if len(self.tickets) == 1:
                self.stand()
                done = self.standing.attempt(argument)
            if done is None:
                done = await self._wait(ticket, argument, seconds)
            return done
        finally:
            self._leave(ticket, done is not None)

    async def hear(self, seconds=None):
        """Wait for what the place was taken for, and return what that is in a tuple, as `take`.

        For a line with a single task, which leaves the place itself.
        """
        done = self.standing.attempt()
        if done is not None:
            return done
        ticket = _Ticket()
        self.tickets[ticket] = None
        try:
            return await self._wait(ticket, None, seconds)
        finally:
            del self.tickets[ticket]

    async def _wait(self, ticket, argument, seconds):
        timer = None
        if seconds is not None:
            timer = self.loop.call_later(seconds, ticket.expire)
        try:
            while True:
                ticket.future = self.loop.create_future()
                await ticket.future
                if self._is_shared or next(iter(self.tickets)) is ticket:
                    ticket.is_woken = False
                    done = self.standing.attempt(argument)
                    if done is not None:
                        return done
                if ticket.is_late:
                    return None
        finally:
            if timer is not None:
                timer.cancel()

    def _leave(self, ticket, has_taken):
        del self.tickets[ticket]
        if not self.tickets or self.loop.is_closed():
            self.standing.leave()
            return
        if self._is_shared:
            # The others have been told too.
            return
        if has_taken:
            self.standing.rotate()
        if ticket.is_woken or self.standing.is_signalled():
            self.wake()


def line_of(proxy, purpose, renew=False):
    """Return the line of the running loop for what is waited for at an object, or a new one.

    None: the object is not in the memory of this process.
    """
    loop = asyncio.get_running_loop()
    place = _coheld.waited_place(proxy, purpose)
    if place is None:
        return None
    lines = _lines.get(loop)
    if lines is None:
        lines = _lines[loop] = weakref.WeakValueDictionary()
    key = purpose, place
    line = lines.get(key)
    if renew or line is None or line.epoch is not _watching.epoch:
        line = lines[key] = Line(loop, proxy, purpose, place[1])
    return line


def own_line(proxy, purpose):
    """Return a line for one task alone."""
    place = _coheld.waited_place(proxy, purpose)
    return Line(asyncio.get_running_loop(), proxy, purpose, place[1])
