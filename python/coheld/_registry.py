"""What is registered with a manager class: what makes an object, and what the proxy of it is.

An entry of a registry is, as in the standard library, a tuple of the callable, the names of the
methods that are exposed, the typeids of what methods return, and the proxy type.
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import array
import queue
import threading
from multiprocessing import managers as stock
from multiprocessing.managers import public_methods

from . import _coheld, _waited
from ._coheld import (
    AcquirerProxy,
    ArrayProxy,
    BarrierProxy,
    BaseProxy,
    ConditionProxy,
    DictProxy,
    EventProxy,
    ListProxy,
    NamespaceProxy,
    QueueProxy,
    SetProxy,
    ValueProxy,
)


def Array(typecode, sequence, lock=True):
    """Return an ``array.array``; *lock* is accepted and ignored, as in the standard library."""
    return array.array(typecode, sequence)


#: What makes objects that have a form of their own in the segment, and the proxies of those.
NATIVE = {
    list: ListProxy,
    dict: DictProxy,
    set: SetProxy,
    stock.Namespace: NamespaceProxy,
    stock.Value: ValueProxy,
    Array: ArrayProxy,
    stock.Array: ArrayProxy,
    array.array: ArrayProxy,
    threading.Lock: AcquirerProxy,
    threading.RLock: AcquirerProxy,
    threading.Semaphore: AcquirerProxy,
    threading.BoundedSemaphore: AcquirerProxy,
    threading.Event: EventProxy,
    threading.Condition: ConditionProxy,
    threading.Barrier: BarrierProxy,
    queue.Queue: QueueProxy,
}

#: The standard library's own, by which objects can be reached over its connections only. Programs
#: that register them get those here of the same names.
_PROXIES_OF_STOCK = {
    thing: name
    for name, thing in vars(stock).items()
    if thing is stock.AutoProxy or (isinstance(thing, type) and issubclass(thing, stock.BaseProxy))
}

#: Plain objects of these classes have such a form too, when there is no callable.
_CONTAINERS = (list, dict, set)

#: What the standard library's dict proxies say of themselves; the dicts here need no help for it.
_DICT_ITERATION = {"__iter__": "Iterator"}


def _is_native_factory(callable):
    try:
        return callable in NATIVE
    except TypeError:
        return False  # A callable that cannot be hashed.


def proxy_type(callable, proxytype, exposed, method_to_typeid):
    """The proxy type that an entry gets: the one that is given, or else the one that fits."""
    if proxytype is None:
        if _is_native_factory(callable) and not exposed and not method_to_typeid:
            return NATIVE[callable]
        from . import managers

        # By its name in that module, where programs put functions of their own.
        return managers.AutoProxy
    if proxytype in _PROXIES_OF_STOCK:
        from . import managers

        return getattr(managers, _PROXIES_OF_STOCK[proxytype], proxytype)
    return proxytype


def entry(callable, proxytype, exposed, method_to_typeid):
    """An entry of a registry, of the arguments of `BaseManager.register`."""
    proxytype = proxy_type(callable, proxytype, exposed, method_to_typeid)
    exposed = exposed or getattr(proxytype, "_exposed_", None)
    method_to_typeid = method_to_typeid or getattr(proxytype, "_method_to_typeid_", None)
    if method_to_typeid:
        for key, value in list(method_to_typeid.items()):
            assert type(key) is str, f"{key!r} is not a string"
            assert type(value) is str, f"{value!r} is not a string"
    return callable, exposed, method_to_typeid, proxytype


def _is_plain(callable, exposed, method_to_typeid, proxytype):
    """Whether an entry says nothing of its objects that only an object behind a call can do."""
    if method_to_typeid and not (callable is dict and method_to_typeid == _DICT_ITERATION):
        return False
    if not isinstance(proxytype, type):
        return True  # AutoProxy: the classes that it makes have just the methods that are exposed.
    own = getattr(proxytype, "_exposed_", None)
    return exposed is None or exposed is own or set(exposed) == set(own or ())


def is_native(entry):
    """Whether the objects of an entry live in the segment: every process can make them."""
    return _is_native_factory(entry[0]) and _is_plain(*entry)


def is_native_copy(entry, args, kwds):
    """Whether an entry without a callable is given an object that can live in the segment."""
    callable, exposed, method_to_typeid, proxytype = entry
    if callable is not None or kwds or len(args) != 1 or type(args[0]) not in _CONTAINERS:
        return False
    kind = type(args[0])
    if isinstance(proxytype, type) and proxytype is not BaseProxy:
        others = [NATIVE[other] for other in _CONTAINERS if other is not kind]
        others += [EventProxy, AcquirerProxy, BarrierProxy, QueueProxy]
        if issubclass(proxytype, (*others, NamespaceProxy, ValueProxy, ArrayProxy)):
            return False
    return _is_plain(kind, exposed, method_to_typeid, proxytype)


def check_arguments(args, kwds):
    """What an entry without a callable is given must be the object itself."""
    if kwds or len(args) != 1:
        raise ValueError("Without callable, must have one non-keyword argument")


class Recipe:
    """A native object that is about to be made: its constructor has accepted the arguments."""

    def __init__(self, factory, args, kwds):
        self._form = None
        self._class = factory or type(args[0])
        if factory in _waited.FORMS:
            self._form = _waited.FORMS[factory](*args, **kwds)
        elif factory is None:
            (self._referent,) = args
        elif factory in _CONTAINERS and not kwds and len(args) == 1 and type(args[0]) is factory:
            # The object goes into the segment as a copy anyway.
            (self._referent,) = args
        else:
            self._referent = factory(*args, **kwds)

    def make(self, attachment, typeid):
        """Make it in the segment; return its token."""
        if self._form is not None:
            return _waited.create(attachment, typeid, self._form)
        return _coheld.create(attachment, typeid, self._referent)

    def exposed(self, entry):
        """The names of its methods that can be called, for the proxy."""
        if entry[1] is not None:
            return entry[1]
        return tuple(name for name in NATIVE[self._class]._exposed_ if not name.startswith("_"))


def exposed_methods(entry, object):
    """The names of the methods of a new object that can be called, as the proxies get to know."""
    _callable, exposed, method_to_typeid, _proxytype = entry
    if exposed is None:
        exposed = public_methods(object)
    if method_to_typeid is not None:
        if not isinstance(method_to_typeid, dict):
            raise TypeError(
                f"Method_to_typeid {method_to_typeid!r}: type {type(method_to_typeid)!s}, not dict"
            )
        exposed = list(exposed) + list(method_to_typeid)
    return tuple(exposed)
