"""A drop-in for ``multiprocessing.managers`` over shared memory.

Managers start a process that owns a segment of shared memory. The objects of a manager live in
that segment, and every process that has a proxy works on them directly.
"""

import array
import collections.abc
import operator
import queue
import signal
import threading
import traceback
from multiprocessing import connection, process, util
from multiprocessing.context import ProcessError
from multiprocessing.managers import Namespace, RemoteError, State, Value, listener_client

from . import _coheld, _waited
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
from ._serving import Server
from .errors import CoheldError, StartupError

__all__ = ["BaseManager", "SyncManager", "BaseProxy", "Token"]


def Array(typecode, sequence, lock=True):
    """Return an ``array.array``; *lock* is accepted and ignored, as in the standard library."""
    return array.array(typecode, sequence)


class ReferentGone(CoheldError, RemoteError):
    """The shared object does not exist any more: no proxy kept it alive."""

    # RemoteError frames the text of a traceback; this is no traceback.
    __str__ = Exception.__str__


#: What makes objects that have a form of their own in the segment.
_NATIVE = (list, dict, set, Namespace, Value, Array, array.array)


#: Bytes: the tables that every segment has, and what an address in it can reach.
_LEAST_CAPACITY = 16 << 20
_MOST_CAPACITY = 1 << 47


class BaseManager:
    """Base class for managers.

    *address*, *authkey*, *serializer*, *ctx* and *shutdown_timeout* are those of
    ``multiprocessing.managers.BaseManager``. *capacity* is the most bytes that the shared objects
    may take up; memory is taken as it is needed. *owner_died* says what comes of acquiring a lock
    or a permit that a process held when it died: an `OwnerDiedWarning` (``"warn"``), with the lock
    acquired, or an `OwnerDiedError` (``"error"``) without.
    """

    _registry = {}

    def __init__(
        self,
        address=None,
        authkey=None,
        serializer="pickle",
        ctx=None,
        *,
        shutdown_timeout=1.0,
        capacity=None,
        owner_died="warn",
    ):
        if owner_died not in ("warn", "error"):
            raise ValueError(f"owner_died is {owner_died!r}: give 'warn' or 'error'")
        if capacity is not None:
            capacity = operator.index(capacity)
            if not _LEAST_CAPACITY <= capacity <= _MOST_CAPACITY:
                raise ValueError(
                    f"a capacity of {capacity} bytes is not possible: give a number from "
                    f"{_LEAST_CAPACITY} to {_MOST_CAPACITY}"
                )
        if authkey is None:
            authkey = process.current_process().authkey
        if ctx is None:
            from multiprocessing import get_context

            ctx = get_context()
        self._address = address
        self._authkey = process.AuthenticationString(authkey)
        self._state = State()
        self._state.value = State.INITIAL
        self._serializer = serializer
        self._Listener, self._Client = listener_client[serializer]
        self._ctx = ctx
        self._shutdown_timeout = shutdown_timeout
        self._capacity = capacity
        self._owner_died = owner_died
        self._attachment = None

    def __getstate__(self):
        # The attachment belongs to this process; another one makes its own.
        state = self.__dict__.copy()
        state["_attachment"] = None
        return state

    def _check_initial(self):
        if self._state.value == State.INITIAL:
            return
        if self._state.value == State.STARTED:
            raise ProcessError("Already started server")
        if self._state.value == State.SHUTDOWN:
            raise ProcessError("Manager has shut down")
        raise ProcessError(f"Unknown state {self._state.value!r}")

    def _check_route(self):
        if not isinstance(self._address, (str, bytes, tuple, type(None))):
            raise CoheldError(
                f"the address {self._address!r} is of no use: give the path of a Unix socket, an "
                "abstract name that begins with a NUL, a pair of host and port, or None"
            )

    def _attached(self):
        if self._attachment is None:
            self._attachment = _coheld.connect(self._address, self._authkey)
        return self._attachment

    def get_server(self):
        """Return a server with the attribute ``address`` and the method ``serve_forever()``."""
        self._check_initial()
        self._check_route()
        return Server(
            self._registry,
            self._address,
            self._authkey,
            self._serializer,
            self._capacity,
            self._owner_died,
        )

    def connect(self):
        """Connect to the manager process at the address."""
        self._check_route()
        self._attachment = _coheld.connect(self._address, self._authkey)
        self._state.value = State.STARTED

    def start(self, initializer=None, initargs=()):
        """Start the manager process."""
        self._check_initial()
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._check_route()
        reader, writer = connection.Pipe(duplex=False)
        self._process = self._ctx.Process(
            target=type(self)._run_server,
            args=(
                self._registry,
                self._address,
                self._authkey,
                self._serializer,
                writer,
                initializer,
                initargs,
                self._capacity,
                self._owner_died,
            ),
        )
        identity = ":".join(str(number) for number in self._process._identity)
        self._process.name = f"{type(self).__name__}-{identity}"
        self._process.start()
        writer.close()
        self._address = self._receive_address(reader)
        self._attachment = _coheld.connect(self._address, self._authkey)
        self._state.value = State.STARTED
        self.shutdown = util.Finalize(
            self,
            type(self)._finalize_manager,
            args=(
                self._process,
                self._address,
                self._authkey,
                self._state,
                self._Client,
                self._shutdown_timeout,
            ),
            exitpriority=0,
        )

    def _receive_address(self, reader):
        """Wait for what the manager process has to say: its address, or why it has none."""
        with reader:
            try:
                address, text, error = reader.recv()
            except EOFError as cause:
                self._process.join(self._shutdown_timeout)
                raise StartupError(
                    f"the manager process {self._process.name} ended before it had an address "
                    f"(exit code {self._process.exitcode}); its standard error says why"
                ) from cause
        if address is None:
            self._process.join()
            raise StartupError(
                f"the manager process {self._process.name} could not start: {text}"
            ) from error
        return address

    @classmethod
    def _run_server(
        cls,
        registry,
        address,
        authkey,
        serializer,
        writer,
        initializer=None,
        initargs=(),
        capacity=None,
        owner_died="warn",
    ):
        """Make a server, report its address and run it. This is the manager process."""
        # Ctrl-C goes to all processes of a terminal, and the others still need this one.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            if initializer is not None:
                initializer(*initargs)
            server = Server(registry, address, authkey, serializer, capacity, owner_died)
        except BaseException as error:
            cls._report_failure(writer, error)
            raise
        writer.send((server.address, None, None))
        writer.close()
        util.info("manager serving at %r", server.address)
        server.serve_for(process.parent_process())

    @staticmethod
    def _report_failure(writer, error):
        text = "".join(traceback.format_exception_only(type(error), error)).strip()
        try:
            writer.send((None, text, error))
        except Exception:
            # The exception cannot be pickled; its text can.
            writer.send((None, text, None))
        writer.close()

    @staticmethod
    def _finalize_manager(process, address, authkey, state, _Client, shutdown_timeout):
        """Shut the manager process down; registered as a finalizer by `start`."""
        if process.is_alive():
            util.info("sending shutdown message to manager")
            try:
                _coheld.request_shutdown(address, authkey)
            except Exception as error:
                util.info("... shutdown message failed: %s", error)
            process.join(timeout=shutdown_timeout)
            if process.is_alive():
                util.info("manager still alive: terminating it")
                process.terminate()
                process.join(timeout=shutdown_timeout)
                if process.is_alive():
                    util.info("manager still alive after terminate: killing it")
                    process.kill()
                    process.join()
        state.value = State.SHUTDOWN

    def _create(self, typeid, /, *args, **kwds):
        """Create a shared object; return its token and the methods that it exposes."""
        assert self._state.value == State.STARTED, "server not yet started"
        form = None
        try:
            factory, exposed, _method_to_typeid, _proxytype = self._registry[typeid]
            if factory in _waited.FORMS:
                form = _waited.FORMS[factory](*args, **kwds)
            else:
                token = self._create_native(typeid, factory, args, kwds)
        except CoheldError:
            raise
        except Exception as error:
            raise RemoteError(traceback.format_exc()) from error
        if form is not None:
            # What the manager process of the standard library would not even be sent is refused
            # here, by exceptions as they are.
            token = _waited.create(self._attached(), typeid, form)
        return token, exposed

    def _create_native(self, typeid, factory, args, kwds):
        if factory is None:
            if kwds or len(args) != 1:
                raise ValueError("Without callable, must have one non-keyword argument")
            referent = args[0]
        elif (
            factory in (list, dict, set)
            and not kwds
            and len(args) == 1
            and (type(args[0]) is factory)
        ):
            # The object goes into the segment as a copy anyway.
            referent = args[0]
        elif factory in _NATIVE:
            referent = factory(*args, **kwds)
        else:
            raise CoheldError(
                f"{typeid!r} is made by {factory!r}: only list, dict, set, Namespace, Value, "
                "Array, queue.Queue and the classes of threading for locks, semaphores, events, "
                "conditions and barriers can be shared"
            )
        return _coheld.create(self._attached(), typeid, referent)

    def join(self, timeout=None):
        """Wait for the manager process to end (if this manager has started one)."""
        if self._process is not None:
            self._process.join(timeout)
            if not self._process.is_alive():
                self._process = None

    def _debug_info(self):
        """Return two lines of text for each shared object: who it is and what it holds."""
        _coheld.ping(self._address, self._authkey)
        return _coheld.debug_info(self._attached())

    def _number_of_objects(self):
        """Return the number of shared objects."""
        _coheld.ping(self._address, self._authkey)
        return _coheld.statistics(self._attached())["referents"]

    def _statistics(self):
        """Return a dict of what the segment holds: referents, blocks, bytes, members."""
        _coheld.ping(self._address, self._authkey)
        return _coheld.statistics(self._attached())

    def __enter__(self):
        if self._state.value == State.INITIAL:
            self.start()
        if self._state.value != State.STARTED:
            self._check_initial()
            raise ProcessError("Unable to start server")
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        self.shutdown()

    @property
    def address(self):
        """The address of the manager process."""
        return self._address

    @classmethod
    def register(
        cls,
        typeid,
        callable=None,
        proxytype=None,
        exposed=None,
        method_to_typeid=None,
        create_method=True,
    ):
        """Register a type with the manager class.

        The parameters are those of ``multiprocessing.managers.BaseManager.register``.
        """
        if "_registry" not in cls.__dict__:
            cls._registry = cls._registry.copy()
        if proxytype is None:
            proxytype = _PROXY_TYPES.get(callable, BaseProxy)
        exposed = exposed or getattr(proxytype, "_exposed_", None)
        method_to_typeid = method_to_typeid or getattr(proxytype, "_method_to_typeid_", None)
        if method_to_typeid:
            for key, value in list(method_to_typeid.items()):
                assert type(key) is str, f"{key!r} is not a string"
                assert type(value) is str, f"{value!r} is not a string"
        cls._registry[typeid] = (callable, exposed, method_to_typeid, proxytype)
        if create_method:
            setattr(cls, typeid, _factory_method(typeid, proxytype))


def _factory_method(typeid, proxytype):
    """The method of a manager class that creates one type of shared object."""

    def create(self, /, *args, **kwds):
        token, exposed = self._create(typeid, *args, **kwds)
        return proxytype(
            token, self._serializer, manager=self, authkey=self._authkey, exposed=exposed
        )

    create.__name__ = typeid
    create.__qualname__ = f"SyncManager.{typeid}"
    create.__doc__ = f"Create a shared {typeid} and return a proxy of it."
    return create


class SyncManager(BaseManager):
    """A manager of lists, dicts, sets, namespaces, values and arrays, of locks and queues.

    ``coheld.Manager()`` returns a started instance of this class.
    """


_PROXY_TYPES = {
    list: ListProxy,
    dict: DictProxy,
    set: SetProxy,
    Namespace: NamespaceProxy,
    Value: ValueProxy,
    Array: ArrayProxy,
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

SyncManager.Barrier.__doc__ += """

The *action* is called by the party that comes last, in its process; it is pickled on its way there.
"""

# Pickles name these two classes as the standard library calls its own.
globals()["AutoProxy[Queue]"] = QueueProxy
globals()["AutoProxy[JoinableQueue]"] = JoinableQueueProxy

# What programs of the standard library's proxies look at.
BaseProxy._address_to_local = {}
BaseProxy._mutex = util.ForkAwareThreadLock()

collections.abc.MutableSequence.register(ListProxy)
collections.abc.MutableMapping.register(DictProxy)
collections.abc.MutableSet.register(SetProxy)
