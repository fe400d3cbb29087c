"""The owner's side of ``await``: coroutines run here, on an event loop of this process."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import asyncio
import inspect
import os
import threading

from ._carriage import Failure

_lock = threading.Lock()
_own_loop = None
#: What others await here, by the keys that they have given.
_pending = {}


def current_loop():
    """The event loop that runs on this thread; None if none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _loop_for(record, awaitable):
    get_loop = getattr(awaitable, "get_loop", None)
    if callable(get_loop):
        # A future belongs to its loop.
        return get_loop()
    loop = record.loop
    if loop is not None and loop.is_running():
        return loop
    return _private_loop()


def _private_loop():
    """A loop of this process for objects that were shared where none was running."""
    global _own_loop
    with _lock:
        if _own_loop is None or _own_loop.is_closed():
            _own_loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_own_loop.run_forever, name="coheld-loop", daemon=True)
            thread.start()
        return _own_loop


def begin(record, name, args, kwargs, inbox, key):
    """Begin what was asked for; its outcome goes into `inbox`, a queue of whoever awaits it.

    *name* is a method that returns an awaitable; None: the object itself is one.
    """
    if name is None:
        awaitable = record.target
    elif name.startswith("__"):
        awaitable = getattr(type(record.target), name)(record.target, *args)
    else:
        awaitable = record.domain.run(getattr(record.target, name), args, kwargs)
    if not inspect.isawaitable(awaitable):
        inbox.put((key, record._outgoing(awaitable)))
        return
    loop = _loop_for(record, awaitable)
    done = asyncio.run_coroutine_threadsafe(_run(record, awaitable, inbox, key), loop)
    _pending[key] = done
    done.add_done_callback(lambda _: _pending.pop(key, None))
    if done.done():
        _pending.pop(key, None)


async def _run(record, awaitable, inbox, key):
    try:
        outcome = await awaitable
        outcome = record._outgoing(outcome)
    except BaseException as error:
        outcome = Failure.of(error)
        if not isinstance(error, (Exception, asyncio.CancelledError)):
            inbox.put((key, outcome))
            raise
    # A native queue without a limit: this waits for nobody.
    inbox.put((key, outcome))


def cancel(key):
    """Cancel what somebody does not await any more."""
    done = _pending.get(key)
    if done is not None:
        done.cancel()


def _forget():
    global _own_loop, _lock
    _own_loop = None
    _lock = threading.Lock()
    _pending.clear()


os.register_at_fork(after_in_child=_forget)
