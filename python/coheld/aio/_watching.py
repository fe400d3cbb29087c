"""The thread that sleeps for all tasks of this process, one for each manager whose objects wait."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import os
import threading
import weakref

from .. import _coheld

#: Seconds after which the thread looks whether loops have been closed, and ends if nobody waits.
_LOOK = 1.0

_lock = threading.Lock()
#: The one watcher of each segment, by its identity. Its lines and its thread keep it, and it keeps
#: the memory.
_watchers = weakref.WeakValueDictionary()
#: Another object in each forked child: what was made under another one is the parent's.
epoch = object()


class Watcher:
    """Tells the loops of this process which of their places in line have been signalled."""

    def __init__(self, proxy):
        self.watch = _coheld.Watch(proxy)
        #: By the key of their place. The coroutines that wait keep them; if a loop is dropped with
        #: everything that belongs to it, its places go too.
        self._lines = weakref.WeakValueDictionary()
        self._has_thread = False

    def introduce(self, line):
        """Learn of a line, before it takes a place for the first time."""
        self._lines[line.standing.key] = line

    def begin(self):
        """See to it that there is a thread, after a place was taken."""
        if self._has_thread:
            return
        with _lock:
            if not self._has_thread:
                thread = threading.Thread(target=self._run, name="coheld-aio", daemon=True)
                thread.start()
                self._has_thread = True

    def _run(self):
        while True:
            keys = self.watch.wait(_LOOK)
            if keys:
                self._tell(keys)
            elif self._ends():
                return
            else:
                self._leave_closed_loops()

    def _tell(self, keys):
        lines_of = {}
        for key in keys:
            line = self._lines.get(key)
            if line is not None:
                lines_of.setdefault(line.loop, []).append(line)
        for loop, lines in lines_of.items():
            try:
                loop.call_soon_threadsafe(_wake, lines)
            except RuntimeError:
                # The loop is closed: what came for its tasks is for others.
                for line in lines:
                    line.abandon()

    def _leave_closed_loops(self):
        for line in list(self._lines.values()):
            if line.loop.is_closed():
                line.abandon()

    def _ends(self):
        with _lock:
            # Whoever takes a place from now on finds that there is no thread.
            self._has_thread = not self.watch.is_empty()
            return not self._has_thread


def _wake(lines):
    for line in lines:
        line.wake()


def watcher_of(proxy, segment):
    """Return the watcher of the segment that a proxy's object lies in."""
    with _lock:
        watcher = _watchers.get(segment)
        if watcher is None:
            watcher = _watchers[segment] = Watcher(proxy)
        return watcher


def _begin_anew():
    global _lock, epoch
    # The threads are the parent's, and so are the places that they watch.
    _lock = threading.Lock()
    _watchers.clear()
    epoch = object()


os.register_at_fork(after_in_child=_begin_anew)
