"""Objects shared by many processes, worked on directly in shared memory.

``coheld.Manager()`` is a drop-in for ``multiprocessing.Manager()``::

    import coheld

    with coheld.Manager() as manager:
        counts = manager.dict()
        counts["words"] = 1

The proxies go wherever those of the standard library go: into child processes of every start
method, through queues and pipes, into each other.
"""

import contextlib

from .errors import (
    CallTimeout,
    CoheldError,
    CorruptedError,
    ManagerGone,
    MethodError,
    OutOfMemory,
    OwnerDiedError,
    OwnerDiedWarning,
    ShutDown,
    StartupError,
)

__all__ = [
    "CallTimeout",
    "CoheldError",
    "CorruptedError",
    "Manager",
    "ManagerGone",
    "MethodError",
    "OutOfMemory",
    "OwnerDiedError",
    "OwnerDiedWarning",
    "ReferentGone",
    "ShutDown",
    "StartupError",
    "aio",
    "call_timeout",
    "from_token",
    "install",
    "managers",
    "proxy",
    "share",
    "uninstall",
]

__version__ = "0.1.0"


def Manager(*, ctx=None, capacity=None, owner_died="warn", call_timeout=None):
    """Return a started ``coheld.managers.SyncManager``.

    The manager process is started by the context *ctx*, by default that of multiprocessing.
    *capacity* is the most bytes that its shared objects may take up. *owner_died* says what comes
    of acquiring a lock whose owner died: an `OwnerDiedWarning` (``"warn"``) or an
    `OwnerDiedError` (``"error"``). *call_timeout* is how many seconds a call of a method may take
    that runs in the manager process.
    """
    from .managers import SyncManager

    manager = SyncManager(
        ctx=ctx, capacity=capacity, owner_died=owner_died, call_timeout=call_timeout
    )
    manager.start()
    return manager


@contextlib.contextmanager
def call_timeout(seconds):
    """Limit the calls of this thread, within a ``with``, that run in another process.

    A call that takes longer is a `CallTimeout`, which is a `TimeoutError`; the method goes on
    running where it is. None stands for the limit of the manager, infinity for no limit at all.
    What is done in shared memory is not subject to this, and neither are calls of objects of the
    calling process itself: those run on the calling thread.
    """
    from ._coheld import call_limit

    before = call_limit(seconds)
    try:
        yield
    finally:
        call_limit(before)


def install():
    """Put Coheld in the place of the standard library's managers, until `uninstall`.

    From now on ``multiprocessing.Manager()`` and the classes in ``multiprocessing.managers`` are
    those of Coheld, in this process and in the processes that it starts. Classes that a program
    took from there before stay what they are, and so do their managers; their ``isinstance()``
    knows the objects of Coheld.

    ``python -m coheld script.py`` runs an unchanged program that way.
    """
    from ._install import install

    install()


def uninstall():
    """Undo `install`. What was made meanwhile goes on working.

    Processes that have been started stay as they are, and so does a fork server with the processes
    that it will start.
    """
    from ._install import uninstall

    uninstall()


def share(target, *, exposed=None, readonly=False):
    """Return a proxy through which other processes use an object of this process as their own.

    See `coheld.proxy.share`.
    """
    from .proxy import share

    return share(target, exposed=exposed, readonly=readonly)


def from_token(text, authkey=None):
    """Return a proxy of the shared object that a token names.

    A token is one line of text: ``proxy._token.text`` in Python, ``proxy.token()?.to_string()`` in
    Rust. It can be handed to any program, which is how programs meet that have not started each
    other. Without *authkey*, the key of the manager, the one in the environment variable
    ``COHELD_AUTHKEY`` counts, in hexadecimal, and else that of this process.
    """
    from ._tokens import from_token

    return from_token(text, authkey)


def __getattr__(name):
    # These bring multiprocessing along; who only imports `coheld` does not wait.
    if name in ("aio", "managers", "proxy", "ReferentGone"):
        import importlib

        module = "managers" if name == "ReferentGone" else name
        module = importlib.import_module(f".{module}", __name__)
        return module.ReferentGone if name == "ReferentGone" else module
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), "aio", "managers", "proxy", "ReferentGone"})
