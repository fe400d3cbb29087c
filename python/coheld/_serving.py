"""The server of a manager: what the manager process does for its clients."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import os
import shutil
import sys
import tempfile
import threading
import traceback
from multiprocessing import connection, process, util
from multiprocessing.managers import listener_client
from multiprocessing.reduction import ForkingPickler

from . import _coheld, _registry
from ._clients import ClientServer
from ._listener import OwnListener

#: Bytes: the path of a Unix socket, without the NUL at its end.
_LONGEST_PATH = 107


def _arbitrary_address():
    """Return an address that nobody uses: in the temporary folder if its path is not too long."""
    address = connection.arbitrary_address("AF_UNIX")
    if len(os.fsencode(address)) <= _LONGEST_PATH:
        return address
    name = os.path.basename(address)
    try:
        folder = tempfile.mkdtemp(prefix="pymp-", dir="/tmp")
    except OSError:
        return b"\0" + os.fsencode(name) + os.urandom(8).hex().encode()
    util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-100)
    return os.path.join(folder, name)


#: Said by managers whose memory is in the next best place.
_UNSEALED = (
    "this system forbids memory files (memfd_create, as by a seccomp filter): the shared objects "
    "are in a nameless file in /dev/shm instead, all of which may be smaller than the memory, and "
    "whose size nothing protects from processes that truncate it by mistake"
)


class _Listener:
    """Where a server listens. Closing it before the server serves gives the address back."""

    def __init__(self, server):
        self._server = server

    @property
    def address(self):
        """Where the server listens."""
        return self._server.address

    def close(self):
        self._server.close()


class Server(ClientServer):
    """A manager's server, to be run by the process that makes it. See `BaseManager.get_server`.

    Clients call the functions that `public` names; as in the standard library, their first
    parameter is the client's connection. It is None for calls that come through the segment.
    """

    public = [
        "shutdown",
        "create",
        "get_methods",
        "debug_info",
        "number_of_objects",
        "dummy",
        "incref",
        "decref",
        "accept_connection",
        "adopt",
    ]

    def __init__(
        self,
        registry,
        address,
        authkey,
        serializer,
        capacity=None,
        owner_died="warn",
        call_timeout=None,
        allowed_types=None,
    ):
        if not isinstance(authkey, bytes):
            raise TypeError(f"Authkey {authkey!r} is type {type(authkey)!s}, not bytes")
        self.registry = registry
        self.authkey = process.AuthenticationString(authkey)
        self._serializer = serializer
        #: Patterns of full names that clients at the other end of connections may have unpickled.
        self.allowed_types = allowed_types
        listener_class, _client_class = listener_client[serializer]
        own_listener = None
        if serializer in ("pickle", "xmlrpclib"):
            if address is None:
                address = _arbitrary_address()
        else:
            own_listener = OwnListener(listener_class, address, self.authkey)
            # Nobody knows this one, and nobody needs it.
            address = b"\0coheld-" + os.urandom(16).hex().encode()
        self._server = _coheld.Server(
            address, self.authkey, capacity, owner_died == "error", call_timeout
        )
        self._attachment = self._server.attachment
        self.listener = own_listener or _Listener(self._server)
        self.address = self.listener.address
        self.stop_event = threading.Event()
        self._serving = threading.Thread(target=self._serve, name="coheld-server", daemon=True)
        self._host = None
        self.open_to_clients()
        if own_listener is not None:
            own_listener.start(self._serve_connection)

    @property
    def memory_note(self):
        """What there is to say about the memory of this server, or None."""
        return None if self._attachment.is_sealed else _UNSEALED

    # Its life.

    def open(self):
        """Make this process the one that has the objects which clients call."""
        if self._host is None:
            process.current_process()._manager_server = self
            self._host = _coheld.Host(self._attachment, self, True)

    def serve_forever(self):
        """Serve until a manager that is connected asks for the end; then exit the process."""
        self.open()
        try:
            self._serving.start()
            try:
                self.stop_event.wait()
            except (KeyboardInterrupt, SystemExit):
                pass
            finally:
                self._stop_listening()
                self._close()
        finally:
            if sys.stdout != sys.__stdout__:
                util.debug("resetting stdout, stderr")
                sys.stdout = sys.__stdout__
                sys.stderr = sys.__stderr__
            sys.exit(0)

    def end_with(self, creator):
        """Have the server end with the process that has started this one, however that ends."""
        parent = os.getppid()
        if creator is None or creator.pid == parent:
            self._server.end_with(parent, True)
            return
        # Started by a fork server. What multiprocessing watches instead is a pipe, which stays
        # open as long as any process that the creator has forked.
        self._server.end_with(creator.pid, False)
        if not creator.is_alive():
            # The watched process may be another one, which has got the id of the creator.
            self._server.stop()

    def _serve(self):
        try:
            self._server.serve()
        finally:
            self.stop_event.set()

    def _stop_listening(self):
        self._server.stop()
        if self._serving.is_alive():
            self._serving.join()

    def _close(self):
        """Let go of what others have no use for any more. Calls under way fail."""
        if self._host is not None:
            self._host.stop()

    # What clients call.

    def shutdown(self, c):
        """End the manager process."""
        util.debug("manager received shutdown message")
        if c is not None:
            c.send(("#RETURN", None))
            c.close()
        # Connections close as soon as the event is set. Who tries to connect again then must not
        # find a server that is about to end.
        self._stop_listening()
        self.stop_event.set()

    def create(self, c, typeid, /, *args, **kwds):
        """Create a shared object; return its token and the methods that it exposes.

        Clients at the other end of a connection get to know the name of the object instead.
        """
        token, exposed = self._create(typeid, args, kwds)
        if c is None:
            return token, exposed
        return self.references.hold(token, c.account), tuple(exposed)

    def _create(self, typeid, args, kwds):
        entry = self.registry[typeid]
        callable = entry[0]
        if callable is None:
            _registry.check_arguments(args, kwds)
        if _registry.is_native(entry) or _registry.is_native_copy(entry, args, kwds):
            recipe = _registry.Recipe(callable, args, kwds)
            return recipe.make(self._attachment, typeid), recipe.exposed(entry)
        # No lock is held: the callable may use this manager.
        object = args[0] if callable is None else callable(*args, **kwds)
        util.debug("%r callable returned %r object", typeid, type(object))
        return self._publish(entry, typeid, object)

    def _publish(self, entry, typeid, object):
        exposed = _registry.exposed_methods(entry, object)
        return self._host.publish(object, typeid, exposed, entry[2]), exposed

    def get_methods(self, c, token):
        """Return the names of the methods of a shared object that can be called."""
        if c is None:
            return tuple(self._host.entry(token.id)[1])
        return tuple(_coheld.exposed_methods(self.references.proxy(token.id)))

    def debug_info(self, c):
        """Return two lines of text for each shared object: who it is and what it holds."""
        return _coheld.debug_info(self._attachment, c is not None)

    def number_of_objects(self, c):
        """Return the number of shared objects."""
        return _coheld.statistics(self._attachment)["referents"]

    def dummy(self, c):
        """Do nothing."""

    def incref(self, c, ident):
        """Count a reference of a client at the other end of a connection.

        For others there is nothing to be done: the segment knows which process has proxies.
        """
        if c is None:
            self._host.entry(ident)
        else:
            self._incref(c, ident)

    def decref(self, c, ident):
        """Count down; see `incref`."""
        if c is None:
            self._host.entry(ident)
        else:
            self._decref(c, ident)

    def adopt(self, c, proxy):
        """Keep the content of a shared dict or set here, whose keys have no form in the segment."""
        self._host.adopt(proxy)

    @property
    def id_to_obj(self):
        """The objects of this process by their idents: the object, what it exposes, and the
        typeids of what its methods return."""
        return self._host.objects()

    # What the host calls, for all but the plain calls.

    def call_function(self, name, args, kwds):
        """Call one of the functions in `public` and return its result.

        If `create` fails, its result is None and what has gone wrong; see `BaseManager._create`.
        """
        assert name in self.public, f"{name!r} unrecognized"
        if name != "create":
            return getattr(self, name)(None, *args, **kwds)
        try:
            return self.create(None, *args, **kwds)
        except Exception as error:
            return None, _failure(error)

    def answer_slowly(self, ident, object, exposed, method_to_typeid, method, args, kwds):
        """Answer a call that is more than one of an exposed method that returns a plain value.

        Return the kind of the answer and the answer.
        """
        try:
            if method not in exposed:
                raise AttributeError(
                    f"method {method!r} of {type(object)!r} object is not in "
                    f"exposed={set(exposed)!r}"
                )
            function = getattr(object, method)
            try:
                result = function(*args, **kwds)
            except Exception as error:
                return "#ERROR", error
            typeid = method_to_typeid and method_to_typeid.get(method)
            if not typeid:
                return "#RETURN", result
            token, names = self._share(typeid, result)
            return "#PROXY", (names, token, self.registry[typeid][-1])
        except AttributeError:
            try:
                return "#RETURN", self.fallback_mapping[method](
                    self, None, ident, object, *args, **kwds
                )
            except Exception:
                return "#TRACEBACK", traceback.format_exc()
        except Exception:
            return "#TRACEBACK", traceback.format_exc()

    def _share(self, typeid, result):
        """What a method has returned becomes an object of its own."""
        entry = self.registry[typeid]
        if entry[0] is None:
            # The object itself, not a copy in the segment.
            return self._publish(entry, typeid, result)
        return self._create(typeid, (result,), {})

    def fallback_getvalue(self, conn, ident, obj):
        """Return the object, to be copied to the client."""
        return obj

    def fallback_str(self, conn, ident, obj):
        """Return the text of the object."""
        return str(obj)

    def fallback_repr(self, conn, ident, obj):
        """Return the representation of the object."""
        return repr(obj)

    fallback_mapping = {
        "__str__": fallback_str,
        "__repr__": fallback_repr,
        "#GETVALUE": fallback_getvalue,
    }


def _failure(error):
    """An exception on its way to the client: the text of its traceback, and the pickle of it."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        return text, bytes(ForkingPickler.dumps(error))
    except Exception:
        return text, None
