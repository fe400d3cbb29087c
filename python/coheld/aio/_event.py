"""Views of events."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from ._line import line_of
from ._view import View


class EventView(View):
    """An event that is waited for by awaiting it."""

    async def wait(self, timeout=None):
        """Wait until the flag is set; return whether it was within the time.

        Of an event out of reach only a flag that stays set for a while is noticed.
        """
        if self._proxy.is_set():
            return True
        if timeout is not None and not timeout > 0:
            return False
        line = self._line("event")
        if line is not None and line.is_over():
            # It was set and taken back, and those who wait have not run yet.
            self._lines["event"] = line_of(self._proxy, "event", renew=True)
        told = await self._take("event", None, timeout, self._try, lambda _: None)
        return told is not None or self._proxy.is_set()

    def is_set(self):
        """Return whether the flag is set."""
        return self._proxy.is_set()

    def set(self):
        """Set the flag and wake all that wait for it."""
        self._proxy.set()

    def clear(self):
        """Take the flag back."""
        self._proxy.clear()

    def _try(self, _):
        return (True,) if self._proxy.is_set() else None
