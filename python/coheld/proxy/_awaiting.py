"""The caller's side of ``await``: no thread waits, and the event loop goes on meanwhile."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import asyncio
import functools
import itertools
import os
import queue
import threading

from .. import _coheld
from .._waited import FORMS, create
from ..errors import ManagerGone
from ._errors import ProxyError
from ._remote import remote_exception

#: Seconds after which it is looked whether the owners of what is awaited are alive.
_LOOK = 0.25

_inboxes = {}
_lock = threading.Lock()


class Inbox:
    """Where the outcomes of what this process awaits arrive, from owners in one segment."""

    def __init__(self, attachment, authkey):
        token = create(attachment, "Queue", FORMS[queue.Queue]())
        self.queue = _coheld.QueueProxy(token, "pickle", authkey=authkey)
        self._name = f"{os.getpid()}:{self.queue._id}"
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        #: By key: the loop, its future, and the reference to the object.
        self._expected = {}
        self._has_reader = False

    def expect(self, loop, reference):
        """Return a key for an outcome, and the future that it will be the result of."""
        future = loop.create_future()
        key = f"{self._name}:{next(self._numbers)}"
        with self._lock:
            self._expected[key] = loop, future, reference
            if not self._has_reader:
                self._has_reader = True
                threading.Thread(target=self._read, name="coheld-await", daemon=True).start()
        return key, future

    def forget(self, key):
        """Nobody awaits this any more."""
        with self._lock:
            self._expected.pop(key, None)

    def _read(self):
        while True:
            try:
                key, outcome = self.queue.get(timeout=_LOOK)
            except queue.Empty:
                if not self._look():
                    return
                continue
            except Exception as error:
                # What has arrived cannot be read here, or the memory is gone.
                self._fail_all(error)
                return
            self._finish(key, outcome, None)

    def _look(self):
        """End the waiting for owners that are gone. Whether anybody waits for anything."""
        with self._lock:
            if not self._expected:
                self._has_reader = False
                return False
            expected = tuple(self._expected.items())
        lives = {}
        for key, (_, _, reference) in expected:
            host = id(reference)
            if host not in lives:
                lives[host] = _is_alive(reference)
            if not lives[host]:
                gone = ManagerGone("the process that has the awaited object is gone")
                self._finish(key, None, gone)
        return True

    def _fail_all(self, error):
        with self._lock:
            self._has_reader = False
            expected = tuple(self._expected)
        for key in expected:
            self._finish(key, None, error)

    def _finish(self, key, outcome, error):
        with self._lock:
            found = self._expected.pop(key, None)
        if found is None:
            return
        loop, future, _ = found
        try:
            loop.call_soon_threadsafe(_settle, future, outcome, error)
        except RuntimeError:
            # The loop was closed meanwhile, and nobody waits.
            pass


def _settle(future, outcome, error):
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(outcome)


def _is_alive(reference):
    try:
        return _coheld.host_lives(reference)
    except Exception:
        return False


def _inbox_for(reference):
    attachment = _coheld.attachment_of(reference)
    if attachment is None:
        raise ProxyError("only objects of processes of this machine can be awaited")
    with _lock:
        found = _inboxes.get(attachment.segment)
        if found is None:
            found = _inboxes[attachment.segment] = Inbox(attachment, reference._authkey)
        return found


async def awaiting(proxy, name=None, args=(), kwargs=None):
    """Await a method of a proxy's object; without a name, the object itself."""
    from ._proxy import link_of

    link = link_of(proxy)
    loop = asyncio.get_running_loop()
    reference = link.reference_or_closed()
    inbox = _inbox_for(reference)
    key, future = inbox.expect(loop, reference)
    asked = functools.partial(link.begin, proxy, name, args, kwargs or {}, inbox.queue, key)
    try:
        # The owner may be busy or stopped; that is no reason for this loop to stand still.
        await loop.run_in_executor(None, asked)
        outcome = await future
    except asyncio.CancelledError:
        if not future.done() or future.cancelled():
            _cancel(loop, link, proxy, key)
        raise
    except ManagerGone as error:
        raise remote_exception(error) from None
    finally:
        inbox.forget(key)
    return link.arrived(proxy, outcome)


def _cancel(loop, link, proxy, key):
    """Have the owner end what is not awaited any more, without waiting for that."""

    def ask():
        try:
            link.cancel(proxy, key)
        except Exception:
            # Its end was the owner's, or the proxy was closed.
            pass

    try:
        loop.run_in_executor(None, ask)
    except RuntimeError:
        # The loop is about to be closed, and has no threads any more.
        threading.Thread(target=ask, name="coheld-cancel", daemon=True).start()


def _forget():
    global _lock
    _inboxes.clear()
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget)
