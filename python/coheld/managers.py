"""A drop-in for ``multiprocessing.managers`` over shared memory.

Managers start a process that owns a segment of shared memory. The objects of a manager live in
that segment, and every process that has a proxy works on them directly. Objects of other classes
live in the manager process, which is called through the segment.
"""

import collections.abc
from multiprocessing.context import ProcessError, get_spawning_popen
from multiprocessing.managers import (
    Namespace,
    ProcessLocalSet,
    RemoteError,
    State,
    Value,
    all_methods,
    convert_to_error,
    dispatch,
    listener_client,
    public_methods,
)

from ._coheld import (
    AcquirerProxy,
    ArrayProxy,
    BarrierProxy,
    BaseProxy,
    ConditionProxy,
    DictProxy,
    EventProxy,
    JoinableQueueProxy,
    ListProxy,
    NamespaceProxy,
    QueueProxy,
    RebuildProxy,
    SetProxy,
    Token,
    ValueProxy,
)
from ._proxies import (
    AutoProxy,
    BaseListProxy,
    BasePoolProxy,
    IteratorProxy,
    MakeProxyType,
    PoolProxy,
)

# isort: split
# The managers come last: while their types are registered, `AutoProxy` is looked up in here.
from ._manager import BaseManager, Server
from ._registry import Array
from ._sync_manager import SyncManager
from .errors import CoheldError

__all__ = ["BaseManager", "SyncManager", "BaseProxy", "Token"]

try:
    from ._shared_memory import SharedMemoryManager, SharedMemoryServer
except ImportError:
    # This Python was built without shared memory.
    pass
else:
    __all__.append("SharedMemoryManager")


class ReferentGone(CoheldError, RemoteError):
    """The shared object does not exist any more: no proxy kept it alive."""

    # RemoteError frames the text of a traceback; this is no traceback.
    __str__ = Exception.__str__


# Pickles and messages name these by the module that programs import them from.
for _name in (
    "Array",
    "AutoProxy",
    "BaseManager",
    "IteratorProxy",
    "MakeProxyType",
    "PoolProxy",
    "Server",
    "SharedMemoryManager",
    "SharedMemoryServer",
    "SyncManager",
):
    if _name in globals():
        globals()[_name].__module__ = __name__
del _name

# Pickles name these two classes as the standard library calls its own.
globals()["AutoProxy[Queue]"] = QueueProxy
globals()["AutoProxy[JoinableQueue]"] = JoinableQueueProxy

collections.abc.MutableSequence.register(ListProxy)
collections.abc.MutableMapping.register(DictProxy)
collections.abc.MutableSet.register(SetProxy)
