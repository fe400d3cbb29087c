"""The built-in types as objects of any class: made by functions of a program, so they are hosted.

`Ours` and `Theirs` are managers with the same types, of Coheld and of the standard library.
"""

from __future__ import annotations

import array
import multiprocessing.managers as stock
import queue
import threading

from coheld import _coheld, managers

# What lives in the manager process. Functions, so that nothing of it is native.


def make_list(items=()):
    return list(items)


def make_dict(*args, **kwds):
    return dict(*args, **kwds)


def make_set(items=()):
    return set(items)


def make_namespace(**attributes):
    return stock.Namespace(**attributes)


def make_value(typecode, value):
    return stock.Value(typecode, value)


def make_array(typecode, items):
    return array.array(typecode, items)


def make_lock():
    return threading.Lock()


def make_rlock():
    return threading.RLock()


def make_semaphore(permits):
    return threading.BoundedSemaphore(permits)


def make_event():
    return threading.Event()


def make_condition():
    return threading.Condition()


def make_barrier(parties):
    return threading.Barrier(parties)


def make_queue(size=0):
    return queue.Queue(size)


MAKERS = {
    "list": (make_list, "ListProxy"),
    "dict": (make_dict, "DictProxy"),
    "set": (make_set, "SetProxy"),
    "Namespace": (make_namespace, "NamespaceProxy"),
    "Value": (make_value, "ValueProxy"),
    "Array": (make_array, "ArrayProxy"),
    "Lock": (make_lock, "AcquirerProxy"),
    "RLock": (make_rlock, "AcquirerProxy"),
    "Semaphore": (make_semaphore, "AcquirerProxy"),
    "Event": (make_event, "EventProxy"),
    "Condition": (make_condition, "ConditionProxy"),
    "Barrier": (make_barrier, "BarrierProxy"),
    "Queue": (make_queue, None),
}


class Ours(managers.SyncManager):
    pass


class Theirs(stock.SyncManager):
    pass


def proxy_class(module, name):
    """Python before 3.14 has no SetProxy; any of its proxy types has the methods it is told."""
    if name == "SetProxy" and not hasattr(module, name):
        return stock.MakeProxyType("SetProxy", managers.SetProxy._exposed_[:])
    return getattr(module, name)


for manager_class, module in ((Ours, managers), (Theirs, stock)):
    for typeid, (maker, name) in MAKERS.items():
        proxy = None if name is None else proxy_class(module, name)
        manager_class.register(f"hosted_{typeid}", maker, proxy)
Ours.register("hosted_QueueClass", make_queue, _coheld.QueueProxy)
Theirs.register("hosted_QueueClass", make_queue)
