"""What it takes to make a lock, a queue or another object that is waited for.

The constructors are those of ``threading`` and ``queue``. They are called only when they are given
arguments: to refuse those that the running Python refuses, in its words.
"""

import math
import operator
import queue
import threading
from multiprocessing.reduction import ForkingPickler

from . import _coheld
from ._coheld import AcquirerProxy, BaseProxy, ConditionProxy
from .errors import CoheldError

#: Beyond this the segment cannot count. It says itself where it really ends.
_MOST = (1 << 63) - 1


class WrongLockError(CoheldError, TypeError):
    """A shared condition was given something as its lock that cannot be that."""


def _lock(*args, **kwds):
    if args or kwds:
        threading.Lock(*args, **kwds)
    return "Lock", 0, None


def _rlock(*args, **kwds):
    if args or kwds:
        threading.RLock(*args, **kwds)
    return "RLock", 0, None


def _semaphore(*args, **kwds):
    value = threading.Semaphore(*args, **kwds)._value if args or kwds else 1
    return "Semaphore", min(operator.index(value), _MOST), None


def _bounded_semaphore(*args, **kwds):
    value = threading.BoundedSemaphore(*args, **kwds)._value if args or kwds else 1
    return "BoundedSemaphore", min(operator.index(value), _MOST), None


def _event(*args, **kwds):
    if args or kwds:
        threading.Event(*args, **kwds)
    return "Event", 0, None


def _condition(*args, **kwds):
    lock = args[0] if args else kwds.get("lock")
    if isinstance(lock, BaseProxy) and len(args) + len(kwds) == 1:
        # Whether it is a lock is found out when the condition gets it.
        return "Condition", 0, lock
    if args or kwds:
        threading.Condition(*args, **kwds)
    return "Condition", 0, lock


def _barrier(*args, **kwds):
    barrier = threading.Barrier(*args, **kwds)
    parties = operator.index(barrier.parties)
    if parties < 1:
        raise ValueError("parties must be > 0")
    action, timeout = barrier._action, barrier._timeout
    return "Barrier", min(parties, _MOST), None if action is timeout is None else (action, timeout)


def _queue(*args, **kwds):
    size = queue.Queue(*args, **kwds).maxsize if args or kwds else 0
    if size > _MOST:
        size = 0
    return "Queue", max(math.ceil(size), 0), None


#: What makes an object that is waited for: a function of the same arguments, which returns the
#: kind, a number and whatever else belongs to the new object (see `_coheld.create_waited_for`).
FORMS = {
    threading.Lock: _lock,
    threading.RLock: _rlock,
    threading.Semaphore: _semaphore,
    threading.BoundedSemaphore: _bounded_semaphore,
    threading.Event: _event,
    threading.Condition: _condition,
    threading.Barrier: _barrier,
    queue.Queue: _queue,
}


def create(attachment, typeid, form):
    """Create the object that a function of `FORMS` has told of; return its token."""
    kind, number, other = form
    if kind == "Condition" and other is not None:
        _check_lock(other, attachment)
    if kind == "Queue" and typeid == "JoinableQueue":
        kind = typeid
    return _coheld.create_waited_for(attachment, typeid, kind, number, other)


def _check_lock(lock, attachment):
    """Make sure that a condition can have this lock."""
    if not isinstance(lock, BaseProxy):
        # As in the standard library: what is refused here is no object that could be shared.
        ForkingPickler.dumps(lock)
    if not isinstance(lock, AcquirerProxy) or isinstance(lock, ConditionProxy):
        what = repr(lock) if isinstance(lock, BaseProxy) else f"an object of {type(lock)}"
        raise WrongLockError(
            f"the lock of a shared condition cannot be {what}: give the proxy of a Lock, RLock, "
            "Semaphore or BoundedSemaphore, or none"
        )
    if lock._token.segment != attachment.segment:
        raise WrongLockError(
            f"the lock of a shared condition cannot be {lock!r} of another manager: let the same "
            "manager make both"
        )
