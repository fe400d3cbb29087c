"""The exceptions of Coheld.

Each is also an exception that programs written for ``multiprocessing.managers`` already catch.
"""

__all__ = [
    "CoheldError",
    "CorruptedError",
    "ManagerGone",
    "OutOfMemory",
    "StartupError",
]


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
