"""The exceptions of Coheld.

Each is also an exception that programs written for ``multiprocessing.managers`` already catch.
"""

import sys

__all__ = [
    "CallTimeout",
    "CoheldError",
    "CorruptedError",
    "ManagerGone",
    "MethodError",
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


class ManagerGone(
    CoheldError, BrokenPipeError, ConnectionRefusedError, ConnectionResetError, EOFError
):
    """What was asked for needs the manager process or another host, and it is gone.

    In the standard library the exception depends on how the process ended and on what this one had
    sent before: it is each of the bases.
    """


class CallTimeout(CoheldError, TimeoutError):
    """A method took longer than it may. It may still be running in the process of its object."""


class MethodError(CoheldError, RuntimeError):
    """A method of an object of a Rust program failed.

    The text begins with the type of the error there.
    """


class RemoteTraceback(Exception):
    """The ``__cause__`` of an exception that a method raised in the process of its object.

    Shows the traceback of that process, as ``concurrent.futures`` does.
    """

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return f'\n"""\n{self.text}"""'


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
