"""Views of locks and semaphores."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import asyncio
import weakref

from .. import _coheld
from ._view import View

#: The RLocks that tasks have, by loop and place: for the segment they belong to the loop's thread.
_holds = weakref.WeakKeyDictionary()


class _Hold:
    """An RLock that a task has."""

    __slots__ = ("depth", "task")

    def __init__(self, task, depth):
        self.task = weakref.ref(task)
        self.depth = depth


def _holds_of_loop():
    loop = asyncio.get_running_loop()
    holds = _holds.get(loop)
    if holds is None:
        holds = _holds[loop] = {}
    return holds


class AcquirerView(View):
    """A lock or semaphore that is acquired by awaiting it.

    A lock belongs to the process, as one that a thread of it has acquired; an RLock to the task.
    """

    def __init__(self, proxy):
        super().__init__(proxy)
        place = _coheld.waited_place(proxy, "acquire")
        self._is_native = place is not None
        kind = place[0] if self._is_native else proxy._token.typeid
        self._is_reentrant = kind == "RLock"
        self._is_lock = kind in ("Lock", "RLock")
        self._place = place

    async def acquire(self, blocking=True, timeout=None):
        """Acquire the lock or a permit; return whether that was possible within the time.

        If the process that held it died, that is said by an `OwnerDiedWarning`; or else, when the
        manager was made with ``owner_died="error"``, by an `OwnerDiedError` and without acquiring.
        """
        if timeout is not None and self._is_lock and timeout == -1:
            timeout = None
        if not blocking or (timeout is not None and timeout <= 0):
            return self._acquire_at_once(blocking, timeout)
        if self._is_reentrant and self._has_task():
            self._again()
            return True
        return await self._acquire(timeout)

    async def _acquire(self, timeout):
        self._check_reach()
        taken = self._take_now("acquire")
        if taken is None:
            taken = await self._take("acquire", None, timeout, self._try, self._give_back)
        if taken is None:
            return False
        if self._is_reentrant:
            _holds_of_loop()[self._place] = _Hold(asyncio.current_task(), 1)
        return True

    def _acquire_at_once(self, blocking, timeout):
        self._check_reach()
        if not self._is_reentrant:
            if timeout is None:
                return self._proxy.acquire(blocking)
            return self._proxy.acquire(blocking, timeout)
        if self._has_task():
            self._again()
            return True
        if self._line("acquire").standing.attempt() is None:
            return False
        _holds_of_loop()[self._place] = _Hold(asyncio.current_task(), 1)
        return True

    def release(self, n=1):
        """Release the lock, or so many permits of a semaphore."""
        if self._is_reentrant:
            self._check_task("release")
            hold = _holds_of_loop()[self._place]
            self._proxy.release()
            hold.depth -= 1
            if not hold.depth:
                del _holds_of_loop()[self._place]
        elif n == 1:
            self._proxy.release()
        else:
            self._proxy.release(n)

    def locked(self):
        """Return whether nobody can acquire it without waiting."""
        return self._proxy.locked()

    async def __aenter__(self):
        return await self.acquire()

    async def __aexit__(self, exc_type, exc_val, exc_tb):
        self.release()

    # An RLock belongs to a task.

    def _has_task(self):
        hold = _holds_of_loop().get(self._place)
        task = asyncio.current_task()
        return task is not None and hold is not None and hold.task() is task

    def _check_task(self, operation):
        if self._is_reentrant and not self._has_task():
            raise RuntimeError(f"cannot {operation} un-acquired lock")

    def _again(self):
        # The thread has it, so this does not wait.
        self._proxy.acquire()
        _holds_of_loop()[self._place].depth += 1

    # Out of reach.

    def _check_reach(self):
        if self._is_reentrant and not self._is_native:
            raise TypeError(
                "an RLock belongs to a thread, and calls of an RLock out of reach are made by any: "
                "give a Lock instead"
            )

    def _try(self, _):
        return (True,) if self._proxy.acquire(False) else None

    def _give_back(self, _):
        self._proxy.release()
