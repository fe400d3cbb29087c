"""Clients at the other end of a connection: what they send, what they are answered, what they hold.

Such clients are processes without Coheld, and processes of other machines, users or containers.
They speak the protocol of the standard library. Those with Coheld have introduced themselves: they
keep a connection for all that they ask, and say together what they hold (a session).
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import threading
from multiprocessing import util
from multiprocessing.managers import RemoteError
from multiprocessing.reduction import ForkingPickler
from traceback import format_exc, format_exception
from xmlrpc import client as xmlrpc

from . import _coheld, _wire

#: Methods that return iterators, which are sent as iterators over a copy.
_ITERATING = ("__iter__", "__reversed__")

#: What the functions of a server are called on a connection that goes on afterwards, beyond
#: those in `Server.public`.
_SESSION_FUNCTIONS = ("drop", "drop_later", "leave", "lend", "redeem", "take")


class Client:
    """A connection to a client, with the methods of ``multiprocessing.connection.Connection``."""

    def __init__(self, connection, server, serializer):
        self._connection = connection
        self._server = server
        self.is_session = connection.is_session
        self._serializer = serializer
        self.recv_bytes = connection.recv_bytes
        self.send_bytes = connection.send_bytes
        self.close = connection.close
        self.fileno = connection.fileno
        self.allowed_types = server.allowed_types
        # Connections that a program makes itself know bytes only.
        is_own = isinstance(connection, _coheld.Connection)
        takes_pickles = is_own and (self.is_session or serializer == "pickle")
        self._recv_pickle = connection.recv_pickle if takes_pickles else None
        self._send_plain = connection.send_plain if is_own else None
        self.server_address = _reached_by(server.address, connection.own_address)

    @property
    def account(self):
        """On which account the references of this client are."""
        return self._connection if isinstance(self._connection, _coheld.Connection) else None

    @property
    def closed(self):
        """Whether the connection is closed."""
        return self._connection.closed

    def recv(self):
        """Receive an object."""
        if self._recv_pickle is None:
            message = self.recv_bytes()
        else:
            is_pickle, message = self._recv_pickle(self)
            if is_pickle:
                self._serializer = "pickle"
                return message
        if self.is_session:
            # Clients of Coheld write what is not for an object as a pickle in any case.
            self._serializer = "xmlrpclib" if message.startswith(b"<") else "pickle"
        if self._serializer == "xmlrpclib":
            ((value,), _method) = xmlrpc.loads(message.decode("utf-8"))
            return value
        return _coheld.loads_wire(message, self)

    def send(self, value):
        """Send an object."""
        self.send_bytes(self.dumps(value))

    def send_plain(self, value):
        """Send an object, if that needs nobody's help; whether it does."""
        if self._send_plain is None or self._serializer != "pickle":
            return False
        return self._send_plain(value)

    def dumps(self, value):
        """The message of an object. What proxies are in it is kept for the client."""
        if self._serializer == "xmlrpclib":
            return xmlrpc.dumps((value,), None, None, None, True).encode("utf-8")
        departure = _Departure(self)
        message = _coheld.dumps_wire(value, departure)
        departure.keep()
        return message

    # What messages ask for.

    def name(self, proxy):
        """The address and the name of a shared object of this manager; None: it is of another."""
        ident = self._server.references.ident(proxy)
        return None if ident is None else (self.server_address, ident)

    def rebuild(self, func, token, serializer, kwds):
        """Make the proxy that a message names. It is the client's until the call is answered."""
        return self._server.rebuild_proxy(func, token, serializer, kwds)


def _reached_by(address, own_address):
    """The address by which a client can reach the server again."""
    if own_address is None or not isinstance(address, tuple):
        return address
    return own_address if address[0] in ("", "0.0.0.0", "::") else address


class _Departure:
    """The proxies in one message to a client."""

    def __init__(self, client):
        self._client = client
        self.is_coheld = client.is_session
        self._sent = []

    def name(self, proxy):
        """The address and the name of a shared object. Called while the message is pickled."""
        name = self._client.name(proxy)
        if name is None:
            return _coheld.foreign_name(proxy)
        self._sent.append(proxy)
        return name

    def keep(self):
        """Keep the objects for the client, which counts them itself or has it done here."""
        references = self._client._server.references
        for proxy in self._sent:
            if self._client.is_session:
                references.hold(proxy, self._client.account)
            else:
                references.lend(proxy, self._client.account)


class ClientServer:
    """The part of a server that answers clients at the other end of a connection."""

    def open_to_clients(self):
        """Have threads of this process answer clients."""
        self.references = _coheld.References(self._attachment)
        self._server.serve_clients(self.references, self._serve_connection)

    def _serve_connection(self, connection):
        self.handle_request(Client(connection, self, self._serializer))

    # One request, one answer.

    def handle_request(self, conn):
        """Serve a client that has proved to have the key, until it goes."""
        try:
            if conn.is_session:
                self.serve_client(conn)
            else:
                self._handle_one(conn)
        except SystemExit:
            pass
        finally:
            conn.close()

    def _handle_one(self, conn):
        request = None
        try:
            request = conn.recv()
            _ident, name, args, kwds = request
            function = self._function(name, self.public)
        except EOFError:
            return
        except Exception:
            message = "#TRACEBACK", format_exc()
        else:
            try:
                message = "#RETURN", function(conn, *args, **kwds)
            except Exception:
                message = "#TRACEBACK", format_exc()
        if not conn.closed:
            self._send(conn, message, request)

    def _function(self, name, known):
        assert name in known, f"{name!r} unrecognized"
        return getattr(self, name)

    def accept_connection(self, c, name):
        """Answer calls of objects on this connection from now on, until the client closes it."""
        threading.current_thread().name = name
        c.send(("#RETURN", None))
        self.serve_client(c)

    # Many requests.

    def serve_client(self, conn):
        """Answer calls of objects, until the client goes."""
        util.debug("starting to serve a client in thread %r", threading.current_thread().name)
        try:
            while not self.stop_event.is_set():
                request = None
                try:
                    request = conn.recv()
                    ident, method, args, kwds = request
                except EOFError:
                    break
                except Exception:
                    message = "#TRACEBACK", format_exc()
                else:
                    message = self._answer(conn, ident, method, args, kwds)
                self._send(conn, message, request)
                # Nothing of a call is kept until the next one.
                del request, message
        except OSError as error:
            util.debug("a client has gone: %s", error)
        finally:
            conn.close()

    def _send(self, conn, message, request):
        try:
            if conn.send_plain(message):
                return
            try:
                data = conn.dumps(message)
            except Exception:
                data = conn.dumps(("#UNSERIALIZABLE", format_exc()))
                util.debug("the answer to %r cannot be sent", request)
            conn.send_bytes(data)
        except OSError as error:
            util.debug("a client has gone before it was answered: %s", error)
            conn.close()

    def _answer(self, conn, ident, method, args, kwds):
        try:
            if ident is None and conn.is_session:
                return self._answer_function(conn, method, args, kwds)
            try:
                proxy = self.references.proxy(ident)
            except (KeyError, TypeError):
                return "#TRACEBACK", format_exc()
            entry = self._host.own_entry(proxy)
            if entry is None:
                kind, result = self._answer_by_proxy(proxy, method, args, kwds)
            else:
                # What a method raises may refer to this frame, in a circle; the object is not to
                # be held by it.
                del proxy
                kind, result = self.answer_slowly(ident, *entry, method, args, kwds)
        except BaseException:
            # Among others `SystemExit`, which ends nothing here.
            return "#TRACEBACK", format_exc()
        if kind == "#PROXY":
            names, token, _proxytype = result
            return kind, (tuple(names), self._name_for(conn, token))
        if kind == "#ERROR":
            try:
                return self._error_for(conn, result)
            finally:
                # The traceback of the error leads to this frame: a circle, with the object in it.
                del result
        if method in _ITERATING and kind == "#RETURN":
            result = iter(list(result))
        return kind, result

    def _answer_function(self, conn, name, args, kwds):
        """A function of the server, for a client that goes on afterwards."""
        if name in _SESSION_FUNCTIONS:
            return "#RETURN", getattr(self, f"_{name}")(conn, *args)
        function = self._function(name, self.public)
        if name != "create":
            return "#RETURN", function(conn, *args, **kwds)
        try:
            return "#RETURN", function(conn, *args, **kwds)
        except Exception as error:
            return "#FAILED", (_text_of(error), _pickle_of(error))

    def _answer_by_proxy(self, proxy, method, args, kwds):
        """A call of an object that is not in this process."""
        try:
            return "#RETURN", proxy._callmethod(method, tuple(args), kwds)
        except RemoteError as error:
            return "#TRACEBACK", error.args[0] if error.args else str(error)
        except Exception as error:
            return "#ERROR", error

    def _name_for(self, conn, token):
        """A token for a client, on whose account the object is from now on."""
        ident = self.references.hold(token, conn.account)
        return _wire.stock_token(token.typeid, conn.server_address, ident)

    def _error_for(self, conn, error):
        if conn.is_session:
            pickled = _pickle_of(error)
            if pickled is None:
                # As the standard library: the exception cannot be sent.
                return "#ERROR", error
            return "#RAISED", (pickled, _text_of(error))
        return "#ERROR", _known_everywhere(error)

    def rebuild_proxy(self, func, token, serializer, kwds):
        """Make the proxy that a message of a client names."""
        if not self.references.is_ours(token.id):
            return _wire.rebuild_foreign(func, token, serializer, kwds)
        own = self.references.token(token.id, token.typeid)
        keywords = {"exposed": kwds["exposed"]} if "exposed" in kwds else {}
        return _wire.proxy_maker(func)(own, serializer, authkey=self.authkey, **keywords)

    # What clients hold.

    def _incref(self, c, ident):
        self.references.increase(ident, c.account)

    def _decref(self, c, ident):
        if not self.references.decrease(ident, c.account):
            util.debug("a client has let go of %r, which it did not have", ident)

    def _drop(self, c, *idents):
        for ident in idents:
            self._decref(c, ident)

    def _drop_later(self, c, *idents):
        for ident in idents:
            self.references.decrease(ident, c.account, True)

    def _lend(self, c, ident):
        self.references.lend(self.references.proxy(ident), c.account)

    def _leave(self, c):
        self.references.leave(c.account)

    def _redeem(self, c, ident):
        self.references.redeem(ident, c.account)

    def _take(self, c, ident):
        self._incref(c, ident)


def _text_of(error):
    return "".join(format_exception(type(error), error, error.__traceback__))


def _pickle_of(error):
    try:
        return bytes(ForkingPickler.dumps(error))
    except Exception:
        return None


def _known_everywhere(error):
    """The error in a class that a process without Coheld has."""
    package = __name__.partition(".")[0]
    if type(error).__module__.partition(".")[0] != package:
        return error
    for base in type(error).__mro__:
        if base.__module__.partition(".")[0] != package:
            # What is lost with the class is said by its name, if by nothing else.
            return base(*(error.args or (type(error).__name__,)))
    return error
