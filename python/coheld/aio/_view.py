"""`View`: what all awaitable views of shared objects have."""

import asyncio

from ._line import line_of


class View:
    """An awaitable view of a shared object; `proxy` is the ordinary proxy of it."""

    def __init__(self, proxy):
        self._proxy = proxy
        self._lines = {}

    @property
    def proxy(self):
        """The ordinary proxy of the same object."""
        return self._proxy

    def _line(self, purpose):
        line = self._lines.get(purpose)
        if line is None or not line.is_of(asyncio.get_running_loop()):
            line = self._lines[purpose] = line_of(self._proxy, purpose)
        return line
