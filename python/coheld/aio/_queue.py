"""Views of queues."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import queue

from ._view import View, seconds_of


class QueueView(View):
    """A queue whose waiting methods are awaited."""

    async def put(self, item, block=True, timeout=None):
        """Put an item in; wait for room if there is none.

        Raises `queue.Full` when there was none in time, and `coheld.ShutDown` when the queue is.
        """
        if not block:
            self._proxy.put_nowait(item)
            return
        seconds = None if timeout is None else seconds_of(timeout)
        put = self._take_now("put", item)
        if put is None:
            put = await self._take("put", item, seconds, self._try_put, _keep)
        if put is None:
            raise queue.Full

    async def get(self, block=True, timeout=None):
        """Take an item out; wait for one if there is none.

        Raises `queue.Empty` when there was none in time, and `coheld.ShutDown` when the queue is
        and has no items.
        """
        if not block:
            return self._proxy.get_nowait()
        seconds = None if timeout is None else seconds_of(timeout)
        taken = self._take_now("get")
        if taken is None:
            taken = await self._take("get", None, seconds, self._try_get, self._proxy.put)
        if taken is None:
            raise queue.Empty
        return taken[0]

    async def join(self):
        """Wait until all items that were put in are done."""
        if self._take_now("join") is None:
            await self._take("join", None, None, self._try_join, _keep)

    def put_nowait(self, item):
        """Put an item in if there is room; raise `queue.Full` otherwise."""
        self._proxy.put_nowait(item)

    def get_nowait(self):
        """Take an item out if there is one; raise `queue.Empty` otherwise."""
        return self._proxy.get_nowait()

    def qsize(self):
        """Return the number of items in the queue."""
        return self._proxy.qsize()

    def empty(self):
        """Return whether the queue has no items."""
        return self._proxy.empty()

    def full(self):
        """Return whether the queue has as many items as it takes."""
        return self._proxy.full()

    def task_done(self):
        """Say that an item that was taken out is done."""
        self._proxy.task_done()

    def shutdown(self, immediate=False):
        """Let nobody put items in any more, nor take any out once there are none."""
        self._proxy.shutdown(immediate)

    # For a queue out of reach.

    def _try_put(self, item):
        try:
            self._proxy.put_nowait(item)
        except queue.Full:
            return None
        return (None,)

    def _try_get(self, _):
        try:
            return (self._proxy.get_nowait(),)
        except queue.Empty:
            return None

    def _try_join(self, _):
        raise TypeError("only a queue in the memory of this process can be joined by awaiting it")


def _keep(_):
    """What was put stays: it cannot be told from other items."""
