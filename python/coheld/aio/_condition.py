"""Views of conditions."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import asyncio
import warnings

from .. import _coheld
from ..errors import OwnerDiedError, OwnerDiedWarning
from ._acquirer import AcquirerView, _Hold, _holds_of_loop
from ._line import own_line


class ConditionView(AcquirerView):
    """A condition that is waited for by awaiting it, with its lock."""

    async def wait(self, timeout=None):
        """Let go of the lock, wait for a notification and take the lock again.

        Returns whether a notification came within the time. A task that is cancelled has the lock
        again before it is, and its notification goes to the next.
        """
        if _coheld.waited_place(self._proxy, "notification") is None:
            raise TypeError("only a condition in the memory of this process can be awaited")
        self._check_held("wait")
        line = own_line(self._proxy, "notification")
        depth = line.stand()
        if self._is_reentrant:
            del _holds_of_loop()[self._place]
        notified = False
        try:
            try:
                left = None if timeout is None else max(timeout, 0)
                notified = await line.hear(left) is not None
            finally:
                if not notified:
                    line.standing.leave(False)
        except GeneratorExit:
            # Nobody goes on with this task, so nobody would release the lock.
            raise
        except BaseException:
            await self._take_again(depth)
            raise
        try:
            await self._take_again(depth)
        except BaseException:
            line.standing.leave(False)
            raise
        line.standing.leave()
        return notified

    async def wait_for(self, predicate, timeout=None):
        """Wait until a function returns something true, and return that.

        Or what it returned last when the time is over. The function is called with the lock held.
        """
        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        result = predicate()
        while not result:
            left = None if end is None else end - loop.time()
            if left is not None and left <= 0:
                break
            await self.wait(left)
            result = predicate()
        return result

    def notify(self, n=1):
        """Wake up to so many of those that wait."""
        self._check_held("notify")
        self._proxy.notify(n)

    def notify_all(self):
        """Wake all that wait."""
        self._check_held("notify")
        self._proxy.notify_all()

    def _check_held(self, operation):
        self._check_task(f"{operation} on")

    async def _take_again(self, depth):
        """Take the lock again, however long that takes and whatever happens meanwhile."""
        problem = None
        while True:
            try:
                await self._acquire(None)
                break
            except (asyncio.CancelledError, OwnerDiedError, OwnerDiedWarning) as error:
                problem = error
        for _ in range(1, depth):
            self._proxy.acquire()
        if self._is_reentrant:
            _holds_of_loop()[self._place] = _Hold(asyncio.current_task(), depth)
        if isinstance(problem, OwnerDiedError):
            # The lock is held again in any case, so this is no more than a remark.
            warnings.warn(str(problem), OwnerDiedWarning, stacklevel=3)
        elif problem is not None:
            raise problem
