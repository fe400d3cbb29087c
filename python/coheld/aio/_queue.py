"""Views of queues."""

import queue

from ._view import View


class Queue(View):
    """A queue whose waiting methods are awaited."""

    async def get(self, block=True, timeout=None):
        """Take an item out; wait for one if there is none.

        Raises `queue.Empty` when there was none in time, and `coheld.ShutDown` when the queue is
        and has no items.
        """
        if not block:
            return self._proxy.get_nowait()
        done = await self._take("get", None, _checked(timeout))
        if done is None:
            raise queue.Empty
        return done[0]
