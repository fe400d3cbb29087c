"""The segment of this process's own objects, made when the first of them is shared."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import os
import threading
from multiprocessing import process, util

from .. import _coheld
from .._serving import _arbitrary_address
from ._owner import Domain

#: Seconds that the end of a process waits for the thread of its segment.
_PATIENCE = 2

_lock = threading.Lock()
_home = None


class Home:
    """A segment, and the thread that lets other processes have it."""

    def __init__(self):
        self.authkey = process.current_process().authkey
        self.process = os.getpid()
        self._server = _coheld.Server(_arbitrary_address(), self.authkey)
        self.attachment = self._server.attachment
        self._thread = threading.Thread(target=self._serve, name="coheld-segment", daemon=True)
        self._thread.start()
        util.Finalize(None, self._end, exitpriority=-5)

    def _serve(self):
        self._server.serve()

    def _end(self):
        """At the end of the process: before multiprocessing removes the folder of the socket."""
        self._server.stop()
        self._thread.join(_PATIENCE)


def home():
    """This process's segment."""
    global _home
    with _lock:
        if _home is None or _home.process != os.getpid():
            _home = Home()
        return _home


def new_domain():
    """A new domain in this process's segment."""
    here = home()
    domain = Domain(here.attachment, here.authkey)
    util.Finalize(domain, domain.stop, exitpriority=-4)
    return domain


def _forget():
    global _home, _lock
    _home = None
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget)
