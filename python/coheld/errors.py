"""The exceptions of Coheld.

Each is also an exception that programs written for ``multiprocessing.managers`` already catch.
"""

import sys

__all__ = [
    "CoheldError",
    "CorruptedError",
    "ManagerGone",
    "OutOfMemory",
    "OwnerDiedError",
    "OwnerDiedWarning",
    "ShutDown",
    "StartupError",
]

if sys.version_info >= (3, 13):
    from queue import ShutDown
else:

    class ShutDown(Exception):
        """Nothing can be put into the queue or taken out of it any more: it was shut down."""


class CoheldError(Exception):
    """Base of the exceptions that Coheld adds."""


class OutOfMemory(CoheldError, MemoryError):
    """The segment has no room for the value. Nothing was changed."""


class CorruptedError(CoheldError, RuntimeError):
    """The bytes in the segment contradict each other."""


class ManagerGone(CoheldError, ConnectionError, EOFError):
    """What was asked for needs the manager process, and it is gone."""


class StartupError(CoheldError, EOFError):
    """The manager process did not start; ``__cause__`` is why."""


class OwnerDiedError(CoheldError, RuntimeError):
    """The process that held the lock or permit died; nobody holds it now, nor does the caller.

    Raised once instead of an `OwnerDiedWarning` if the manager was made with
    ``owner_died="error"``.
    """


class OwnerDiedWarning(RuntimeWarning):
    """The process that held the lock or permit died, and the caller holds it now.

    What the lock protects may be half changed.
    """
