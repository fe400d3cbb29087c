"""The owner's side: objects of this process, and what is done with them for others.

A *record* is what the host calls: the object, what of it is exposed, and the operations that
proxies consist of. A *domain* is this process's host in one segment, with its records: those of a
server are in the segment of this process, those of callbacks in the segment of whoever is called.
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import functools
import os
import threading
import types
import weakref
from collections.abc import Iterable
from multiprocessing import util

from .. import _coheld
from . import _loop
from ._carriage import (
    METHODS,
    PLAIN,
    SELF,
    Failure,
    MethodOf,
    Pickled,
    outgoing_pickle,
    stays,
)
from ._description import describe
from ._errors import ProxyError, ProxyObjectNotFound
from ._exposure import OPEN
from ._special import CHANGING, OPERATORS

#: Iterators of these types have no effect but on themselves, so a few items may be taken ahead.
_QUIET_ITERATORS = frozenset(
    type(iter(example))
    for example in (
        [],
        (),
        {},
        {}.values(),
        {}.items(),
        set(),
        "",
        "\u0100",
        b"",
        bytearray(),
        range(0),
    )
)

_FUNCTIONS = (*METHODS, types.FunctionType, functools.partial)

OPERATIONS = (
    "about",
    "begin",
    "block",
    "call",
    "cancel",
    "delete",
    "get",
    "of_method",
    "set",
    "special",
    "take",
)

TYPEID = "coheld.proxy"


class Record:
    """An object of this process, for the host to be called."""

    __slots__ = (
        "__weakref__",
        "_passed",
        "domain",
        "exposure",
        "is_open",
        "loop",
        "server",
        "target",
    )

    def __init__(self, target, domain, exposure):
        self.target = target
        self.domain = domain
        self.exposure = exposure
        self.is_open = True
        #: The `ProxyServer` that has it.
        self.server = None
        #: Names that have been checked before.
        self._passed = set()
        #: The event loop that was running where the object was shared.
        self.loop = _loop.current_loop()

    # The operations. Each returns what the caller gets, and never raises.

    def get(self, name):
        try:
            if name not in self._passed:
                self._check(name, "get")
            value = getattr(self.target, name)
        except BaseException as error:
            return Failure.of(error)
        if type(value) in PLAIN:
            return value
        # A function that is an attribute is there to be called, and that happens here.
        return MethodOf(name) if isinstance(value, _FUNCTIONS) else self._outgoing(value)

    def call(self, name, /, *args, **kwargs):
        try:
            if name not in self._passed:
                self._check(name, "call")
            value = self.domain.run(getattr(self.target, name), args, kwargs)
        except BaseException as error:
            return Failure.of(error)
        return value if type(value) in PLAIN else self._outgoing(value)

    def special(self, name, /, *args, **kwargs):
        """What Python does for an expression in which the object stands."""
        try:
            if name not in self._passed:
                self._check(name, "call")
            target = self.target
            function = OPERATORS.get(name)
            if function is None:
                function = getattr(type(target), name)
            value = self.domain.run(function, (target, *args), kwargs)
            if name in CHANGING and value is target:
                return SELF
        except BaseException as error:
            return Failure.of(error)
        if type(value) in PLAIN:
            return value
        if name == "__dir__":
            return [found for found in value if self.exposure.allows(found)]
        if name in ("__iter__", "__reversed__", "__aiter__"):
            # Not a copy: each item is to be taken from the object, when its turn comes.
            return self._as_proxy(value)
        return self._outgoing(value)

    def set(self, name, value):
        try:
            self._check(name, "set")
            setattr(self.target, name, value)
        except BaseException as error:
            return Failure.of(error)

    def delete(self, name):
        try:
            self._check(name, "delete")
            delattr(self.target, name)
        except BaseException as error:
            return Failure.of(error)

    def take(self, count):
        """Return the next items of an iterator, and whether it has come to its end."""
        items = []
        try:
            self._check("__next__", "call")
            if type(self.target) not in _QUIET_ITERATORS:
                count = 1
            for _ in range(count):
                items.append(self._outgoing(self.domain.run(next, (self.target,), {})))
        except StopIteration as end:
            return items, Failure.of(end)
        except BaseException as error:
            return items, Failure.of(error)
        return items, None

    def of_method(self, name, attribute):
        """An attribute of a method; without one, its text."""
        try:
            self._check(name, "get")
            method = getattr(self.target, name)
            if attribute is None:
                return repr(method)
            if not self.exposure.allows(attribute):
                raise self.exposure.refusal(method, attribute, "get")
            value = getattr(method, attribute)
        except BaseException as error:
            return Failure.of(error)
        return self._outgoing(value)

    def begin(self, name, inbox, key, /, *args, **kwargs):
        """Begin something that is awaited; its outcome goes into a queue of the caller."""
        try:
            self._check(name or "__await__", "call")
            _loop.begin(self, name, args, kwargs, inbox, key)
        except BaseException as error:
            return Failure.of(error)

    def cancel(self, key):
        """End something that was begun."""
        _loop.cancel(key)

    def about(self):
        """The id of the object, and what Duck calls its text."""
        try:
            target = self.target
            shown = type(target) if isinstance(target, Iterable) else target
            return id(target), str(shown)
        except BaseException as error:
            return Failure.of(error)

    def block(self, is_wanted):
        """The name of the block through which the object can be used in frames."""
        try:
            if self.server is None:
                if not is_wanted:
                    return None
                raise ProxyError(
                    "this object was shared without a ProxyServer, so it cannot be used in frames"
                )
            return self.server._block_name(self.target, is_wanted)
        except BaseException as error:
            return Failure.of(error)

    # What is behind them.

    def _check(self, name, operation):
        if not self.is_open:
            raise ProxyObjectNotFound(
                f"Proxy target object with ID `{id(self.target)}` not found. It may have been "
                "deleted or never declared."
            )
        if not self.exposure.allows(name, operation):
            raise self.exposure.refusal(self.target, name, operation)
        if operation in ("get", "call"):
            self._passed.add(name)

    def expose(self, exposure):
        """Change what may be used of the object."""
        self.exposure = exposure
        self._passed = set()

    def close(self):
        """Answer no more calls."""
        self.is_open = False
        self._passed = set()

    def _outgoing(self, value):
        """What stands for a value on its way: a copy if it pickles, else a proxy."""
        if type(value) in PLAIN:
            return value
        if value is self.target:
            return SELF
        if type(value) in METHODS and value.__self__ is self.target:
            if self.exposure.allows(value.__name__, "call"):
                return MethodOf(value.__name__)
        if stays(value) or self.domain.knows(value):
            return self._as_proxy(value)
        pickle = outgoing_pickle(value)
        return self._as_proxy(value) if pickle is None else Pickled(pickle)

    def _as_proxy(self, value):
        return self.domain.proxy_of(value, self.exposure.derived())


class Domain:
    """This process's objects in one segment, and its host there."""

    def __init__(self, attachment, authkey):
        self.authkey = authkey
        self.process = os.getpid()
        #: By the ids of the objects. A record lives as long as anybody refers to its object, or its
        #: server keeps it.
        self._records = weakref.WeakValueDictionary()
        self._lock = threading.Lock()
        self._host = _coheld.Host(attachment, self, False)
        _domains.add(self)

    def record_of(self, target, exposure=OPEN):
        """The record of an object, which is made if there is none."""
        with self._lock:
            record = self._records.get(id(target))
            if record is None or record.target is not target or not record.is_open:
                record = self._records[id(target)] = Record(target, self, exposure)
            return record

    def knows(self, target):
        """Whether an object has been shared, and somebody refers to it."""
        record = self._records.get(id(target))
        return record is not None and record.target is target and record.is_open

    def reference(self, record):
        """Return a reference to the object of a record, for a proxy to be made of."""
        token = self._host.publish(record, TYPEID, OPERATIONS)
        return _coheld.BaseProxy(token, "pickle", authkey=self.authkey)

    def proxy_of(self, target, exposure=OPEN):
        """Return a proxy of an object of this process."""
        from ._proxy import SharedProxy, make_proxy

        record = self.record_of(target, exposure)
        return make_proxy(SharedProxy, self.reference(record), describe(target, record.exposure))

    def own(self, reference):
        """The record to which a reference leads, if it is one of this domain."""
        entry = self._host.own_entry(reference)
        return None if entry is None or type(entry[0]) is not Record else entry[0]

    def run(self, function, args, kwargs):
        """Run what was called. A server may have it run elsewhere."""
        return function(*args, **kwargs) if kwargs else function(*args)

    def stop(self):
        """Let go of all objects; calls under way fail at their callers."""
        _domains.discard(self)
        if self.process == os.getpid():
            self._host.stop()

    # What the host calls.

    def call_function(self, name, args, kwds):
        raise ProxyError(f"a process that shares objects has no function {name!r}")

    def answer_slowly(self, ident, object, exposed, method_to_typeid, method, args, kwds):
        return "#ERROR", AttributeError(f"proxies have no operation {method!r}")


#: The domains of this process.
_domains = set()
#: Those for callbacks, by the segments they are in.
_callbacks = {}
_callbacks_lock = threading.Lock()


def _forget():
    """In a forked child: hosts stay with the process that has them."""
    global _callbacks_lock
    _domains.clear()
    _callbacks.clear()
    _callbacks_lock = threading.Lock()


os.register_at_fork(after_in_child=_forget)


def own_record(reference):
    """The record of an object of this process to which a reference leads; else None."""
    for domain in tuple(_domains):
        record = domain.own(reference)
        if record is not None:
            return record
    return None


def callback_domain(reference):
    """This process's domain in the segment of a reference, so that its owner can call back."""
    attachment = _coheld.attachment_of(reference)
    if attachment is None:
        raise ProxyError(
            "an object that does not pickle was passed to an object whose memory this process "
            "cannot reach: it could not be called back"
        )
    with _callbacks_lock:
        domain = _callbacks.get(attachment.segment)
        if domain is None:
            domain = _callbacks[attachment.segment] = Domain(attachment, reference._authkey)
            util.Finalize(None, domain.stop, exitpriority=-10)
        return domain
