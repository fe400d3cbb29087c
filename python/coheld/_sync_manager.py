"""`SyncManager`: the manager of everything that ``multiprocessing.Manager()`` makes."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import queue
import threading
from multiprocessing import pool
from multiprocessing.managers import Namespace, Value

from ._coheld import (
    AcquirerProxy,
    ArrayProxy,
    BarrierProxy,
    ConditionProxy,
    DictProxy,
    EventProxy,
    JoinableQueueProxy,
    ListProxy,
    NamespaceProxy,
    QueueProxy,
    SetProxy,
    ValueProxy,
)
from ._manager import BaseManager
from ._proxies import AutoProxy, IteratorProxy, PoolProxy
from ._registry import Array


class SyncManager(BaseManager):
    """A manager of lists, dicts, sets, namespaces, values and arrays, of locks, queues and pools.

    ``coheld.Manager()`` returns a started instance of this class.
    """


SyncManager.register("list", list, ListProxy)
SyncManager.register("dict", dict, DictProxy)
SyncManager.register("set", set, SetProxy)
SyncManager.register("Namespace", Namespace, NamespaceProxy)
SyncManager.register("Value", Value, ValueProxy)
SyncManager.register("Array", Array, ArrayProxy)
SyncManager.register("Lock", threading.Lock, AcquirerProxy)
SyncManager.register("RLock", threading.RLock, AcquirerProxy)
SyncManager.register("Semaphore", threading.Semaphore, AcquirerProxy)
SyncManager.register("BoundedSemaphore", threading.BoundedSemaphore, AcquirerProxy)
SyncManager.register("Event", threading.Event, EventProxy)
SyncManager.register("Condition", threading.Condition, ConditionProxy)
SyncManager.register("Barrier", threading.Barrier, BarrierProxy)
SyncManager.register("Queue", queue.Queue, QueueProxy)
SyncManager.register("JoinableQueue", queue.Queue, JoinableQueueProxy)
SyncManager.register("Pool", pool.Pool, PoolProxy)

# What methods of a pool return.
SyncManager.register("Iterator", proxytype=IteratorProxy, create_method=False)
SyncManager.register("AsyncResult", proxytype=AutoProxy, create_method=False)

SyncManager.Barrier.__doc__ += """

The *action* is called by the party that comes last, in its process; it is pickled on its way there.
"""
