"""`BaseManager`: starting a manager process, connecting to one, and asking it for objects."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import operator
import signal
import traceback
import warnings
from multiprocessing import connection, process, util
from multiprocessing.context import ProcessError
from multiprocessing.managers import RemoteError, State, dispatch, listener_client
from multiprocessing.reduction import ForkingPickler

from . import _coheld, _keys, _registry, _wire
from ._serving import Server
from .errors import CoheldError, StartupError

#: Bytes: the tables that every segment has, and what an address in it can reach.
_LEAST_CAPACITY = 16 << 20
_MOST_CAPACITY = 1 << 47

#: What makes the connections that are not a program's own.
_OWN_CLIENTS = tuple(listener_client[name][1] for name in ("pickle", "xmlrpclib"))

#: What a server does that is told nothing.
_OPTIONS = {"capacity": None, "owner_died": "warn", "call_timeout": None, "allowed_types": None}


class BaseManager:
    """Base class for managers.

    *address*, *authkey*, *serializer*, *ctx* and *shutdown_timeout* are those of
    ``multiprocessing.managers.BaseManager``. *capacity* is the most bytes that the shared objects
    may take up; memory is taken as it is needed. *owner_died* says what comes of acquiring a lock
    or a permit that a process held when it died: an `OwnerDiedWarning` (``"warn"``), with the lock
    acquired, or an `OwnerDiedError` (``"error"``) without. *call_timeout* is how many seconds a
    call of a method may take that runs in the manager process; without it, calls have no end.
    *allowed_types* are full names, or patterns such as ``"package.module.*"``, of the classes and
    functions that clients at the other end of a connection may have the manager process unpickle;
    without it, all.
    """

    _registry = {}
    _Server = Server

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
        call_timeout=None,
        allowed_types=None,
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
        if call_timeout is not None and not float(call_timeout) > 0:
            raise ValueError(
                f"a call_timeout of {call_timeout!r} is not possible: give a number of seconds "
                "above 0, or None"
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
        self._call_timeout = call_timeout
        self._allowed_types = _patterns(allowed_types)
        self._attachment = None
        self._link = None

    def __getstate__(self):
        # The way to the manager belongs to this process; another one finds its own.
        state = self.__dict__.copy()
        state["_attachment"] = state["_link"] = None
        return state

    def _check_initial(self):
        if self._state.value == State.INITIAL:
            return
        if self._state.value == State.STARTED:
            raise ProcessError("Already started server")
        if self._state.value == State.SHUTDOWN:
            raise ProcessError("Manager has shut down")
        raise ProcessError(f"Unknown state {self._state.value!r}")

    def _options(self):
        """What a server is told beyond the arguments that the standard library's has."""
        options = {
            "capacity": self._capacity,
            "owner_died": self._owner_died,
            "call_timeout": self._call_timeout,
            "allowed_types": self._allowed_types,
        }
        # A class of a program's own need not know those that are not used.
        return {name: options[name] for name in options if options[name] != _OPTIONS[name]}

    def _check_address(self):
        if self._address is None:
            raise ValueError(
                "the manager has no address yet: start it, or make it with the address of one that "
                "runs and connect it"
            )

    def _find(self):
        """Find the way to the manager process: by its memory, or else by connections."""
        self._check_address()
        way = _coheld.find_manager(self._address, self._authkey, self._serializer)
        if isinstance(way, _coheld.Link):
            self._link = way
            if self._call_timeout is not None:
                way.limit_calls(self._call_timeout)
        else:
            self._attachment = way
        _keys.remember(self._address, self._authkey)

    def _linked(self):
        """The link to the manager process, if its memory is out of reach."""
        if self._attachment is None and self._link is None:
            self._find()
        return self._link

    def _ping(self):
        """Make sure that the manager process is there."""
        self._check_address()
        _coheld.ping(self._address, self._authkey)

    def get_server(self):
        """Return a server with the attribute ``address`` and the method ``serve_forever()``."""
        self._check_initial()
        server = self._make_server(Server)
        _warn_of(server.memory_note)
        return server

    def _make_server(self, server_class):
        return server_class(
            self._registry, self._address, self._authkey, self._serializer, **self._options()
        )

    def connect(self):
        """Connect to the manager process at the address."""
        self._find()
        if self._link is not None:
            # There may have been a link already, to a manager that is gone meanwhile.
            self._call("dummy")
        self._state.value = State.STARTED

    def start(self, initializer=None, initargs=()):
        """Start the manager process."""
        self._check_initial()
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
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
                self._options(),
            ),
        )
        identity = ":".join(str(number) for number in self._process._identity)
        self._process.name = f"{type(self).__name__}-{identity}"
        self._process.start()
        writer.close()
        self._address = self._receive_address(reader)
        self._find()
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
        """Wait for what the manager process has to say: its address, or why it has none.

        With an address, the text is of its memory, or None.
        """
        with reader:
            try:
                address, text, pickled = reader.recv()
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
            ) from _wire.cause_of(pickled)
        _warn_of(text)
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
        options=None,
    ):
        """Make a server, report its address and run it. This is the manager process."""
        # Ctrl-C goes to all processes of a terminal, and the others still need this one.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            if initializer is not None:
                initializer(*initargs)
            server = cls._Server(registry, address, authkey, serializer, **(options or {}))
            server.open()
            server.end_with(process.parent_process())
        except BaseException as error:
            cls._report_failure(writer, error)
            raise
        writer.send((server.address, server.memory_note, None))
        writer.close()
        util.info("manager serving at %r", server.address)
        server.serve_forever()

    @staticmethod
    def _report_failure(writer, error):
        text = "".join(traceback.format_exception_only(type(error), error)).strip()
        try:
            pickled = bytes(ForkingPickler.dumps(error))
        except Exception:
            pickled = None  # Its text says what has happened, too.
        writer.send((None, text, pickled))
        writer.close()

    @staticmethod
    def _finalize_manager(process, address, authkey, state, _Client, shutdown_timeout):
        """Shut the manager process down; registered as a finalizer by `start`."""
        if process.is_alive():
            util.info("sending shutdown message to manager")
            try:
                _request_shutdown(address, authkey, _Client)
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

    def _call(self, name, args=(), kwds=None):
        """Call a function of the server, in the manager process."""
        link = self._linked() or _coheld.link_beside(self._attachment)
        if link is not None:
            return _wire.result_of(link.ask(name, args, kwds))
        return _coheld.call_manager(self._attachment, name, args, kwds)

    def _create(self, typeid, /, *args, **kwds):
        """Create a shared object; return its token and the methods that it exposes."""
        assert self._state.value == State.STARTED, "server not yet started"
        link = self._linked()
        if link is not None:
            return _wire.create(link, typeid, args, kwds)
        entry = self._registry.get(typeid)
        if entry is None or not _registry.is_native(entry):
            # The manager process has the last word: a manager that only connects knows no callable.
            link = _coheld.link_beside(self._attachment)
            if link is not None:
                return _wire.create_nearby(link, self._attachment, typeid, args, kwds)
            token, other = self._call("create", (typeid, *args), kwds)
            if token is None:
                _wire.raise_remote(*other)
            return token, other
        try:
            recipe = _registry.Recipe(entry[0], args, kwds)
        except CoheldError:
            raise
        except Exception as error:
            raise RemoteError(traceback.format_exc()) from error
        # What the manager process of the standard library would not even be sent is refused here,
        # by exceptions as they are.
        return recipe.make(self._attachment, typeid), recipe.exposed(entry)

    def join(self, timeout=None):
        """Wait for the manager process to end (if this manager has started one)."""
        if self._process is not None:
            self._process.join(timeout)
            if not self._process.is_alive():
                self._process = None

    def _debug_info(self):
        """Return two lines of text for each shared object: who it is and what it holds."""
        if self._linked() is None:
            self._ping()
        return self._call("debug_info")

    def _number_of_objects(self):
        """Return the number of shared objects."""
        if self._linked() is not None:
            return self._call("number_of_objects")
        self._ping()
        return _coheld.statistics(self._attachment)["referents"]

    def _statistics(self):
        """Return a dict of what the segment holds: referents, blocks, bytes, members."""
        if self._linked() is not None:
            raise CoheldError(
                f"the memory of the manager at {self._address!r} is out of reach of this process: "
                "ask _number_of_objects() or _debug_info() for what it has"
            )
        self._ping()
        return _coheld.statistics(self._attachment)

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
        entry = _registry.entry(callable, proxytype, exposed, method_to_typeid)
        cls._registry[typeid] = entry
        if create_method:
            setattr(cls, typeid, _factory_method(cls, typeid, entry[-1]))


def _warn_of(note):
    """Pass on what a new server says about its memory, if that is something."""
    if note is not None:
        warnings.warn(note, RuntimeWarning, stacklevel=3)


def _patterns(allowed_types):
    if allowed_types is None:
        return None
    if isinstance(allowed_types, str):
        raise TypeError("allowed_types are several names: give a list, not a str")
    patterns = tuple(allowed_types)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(f"allowed_types are names of type str, not {pattern!r}")
    return patterns


def _request_shutdown(address, authkey, client_class):
    """Ask the manager process at an address to end."""
    if client_class in _OWN_CLIENTS:
        _coheld.request_shutdown(address, authkey)
        return
    with client_class(address, authkey=authkey) as own_connection:
        dispatch(own_connection, None, "shutdown")


def _factory_method(cls, typeid, proxytype):
    """The method of a manager class that creates one type of shared object."""

    def create(self, /, *args, **kwds):
        util.debug("requesting creation of a shared %r object", typeid)
        token, exposed = self._create(typeid, *args, **kwds)
        return proxytype(
            token, self._serializer, manager=self, authkey=self._authkey, exposed=exposed
        )

    create.__name__ = typeid
    create.__qualname__ = f"{cls.__name__}.{typeid}"
    create.__doc__ = f"Create a shared {typeid} and return a proxy of it."
    return create
