"""The bytes of the standard library's protocol, from a client and a server written by hand."""

from __future__ import annotations

import multiprocessing
import pickle
import socket
import struct
import sys
import threading

import marks
import pytest
import subject
from interop import raw, running
from subject import managers

KEY = b"key of raw bytes"
GENERATIONS = ("legacy", "modern")

#: The handshake with SHA-256 came with 3.12; stock of before knows the other one alone.
IS_MODERN = not subject.IS_STOCK or sys.version_info >= (3, 12)


@pytest.fixture(scope="module", params=running.FAMILIES)
def address(request, tmp_path_factory):
    """The address of a server."""
    where = running.new_address(request.param, str(tmp_path_factory.mktemp("raw")))
    where = where.get("path") or where.get("tcp") or bytes.fromhex(where["bytes"])
    manager = managers.SyncManager(
        address=tuple(where) if isinstance(where, list) else where,
        authkey=KEY,
        ctx=multiprocessing.get_context("fork"),
    )
    with manager:
        yield manager.address


@pytest.fixture(params=GENERATIONS)
def generation(request):
    if request.param == "modern" and not IS_MODERN:
        pytest.skip("the stock manager has this handshake since 3.12")
    return request.param


def connected(address, generation=None):
    return raw.connected(address, KEY, generation or ("modern" if IS_MODERN else "legacy"))


def ask(address, function, *args, **kwds):
    """One request to the server itself, with a connection of its own."""
    with connected(address) as connection:
        return connection.ask(raw.call(None, function, args, kwds))


def create(address, typeid, *args):
    kind, (ident, exposed) = ask(address, "create", typeid, *args)
    assert kind == "#RETURN"
    # Nobody else counts the reference.
    return ident, exposed


def calling(address):
    """A connection for calls of objects."""
    connection = connected(address)
    assert connection.ask(raw.accept_connection()) == ("#RETURN", None)
    return connection


def test_the_first_bytes_are_a_challenge(address):
    with raw.connect(address) as connection:
        data = connection.receive()
    assert data[:11] == raw.CHALLENGE
    assert len(data) == (59 if IS_MODERN else 31)
    assert (data[11:19] == b"{sha256}") == IS_MODERN


def test_both_generations_of_the_handshake(address, generation):
    with connected(address, generation) as connection:
        connection.send(raw.DUMMY)
        assert connection.reply() == ("#RETURN", None)
        assert connection.is_at_end()


def test_the_bytes_of_the_simplest_reply(address):
    with connected(address) as connection:
        connection.send(raw.DUMMY)
        data = connection.receive()
    assert pickle.loads(data) == ("#RETURN", None)
    if subject.IS_STOCK and pickle.DEFAULT_PROTOCOL == 4:
        assert data == raw.RETURN_NONE
    # What the oldest clients can read.
    assert data[:2] <= b"\x80\x05"


def test_requests_that_come_byte_by_byte(address):
    with connected(address) as connection:
        for byte in raw.frame(raw.DUMMY):
            connection.send_bytes(bytes((byte,)))
        assert connection.reply() == ("#RETURN", None)


def test_the_long_form_of_a_frame(address):
    with connected(address) as connection:
        connection.send_bytes(raw.long_frame(raw.DUMMY))
        assert connection.reply() == ("#RETURN", None)


def test_every_protocol_of_pickle(address):
    ident, _ = create(address, "list", [1])
    with calling(address) as connection:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            connection.send(pickle.dumps((ident, "__len__", [], {}), protocol))
            assert connection.reply() == ("#RETURN", 1)


def test_objects_are_made_and_counted(address):
    before = ask(address, "number_of_objects")[1]
    ident, exposed = create(address, "list", [1, 2])
    assert isinstance(ident, str)
    assert int(ident, 16)
    assert {"append", "__len__", "__getitem__"} <= set(exposed)
    assert ask(address, "number_of_objects") == ("#RETURN", before + 1)
    assert ask(address, "incref", ident) == ("#RETURN", None)
    assert ask(address, "decref", ident) == ("#RETURN", None)
    assert ask(address, "number_of_objects") == ("#RETURN", before + 1)
    assert f"  {ident}: " in ask(address, "debug_info")[1]
    with connected(address) as connection:
        kind, methods = connection.ask(raw.get_methods("list", address, ident))
    assert (kind, set(methods)) == ("#RETURN", set(exposed))
    assert ask(address, "decref", ident) == ("#RETURN", None)
    assert subject.wait_until(lambda: ask(address, "number_of_objects")[1] == before)
    kind, text = ask(address, "incref", ident)
    assert (kind, "KeyError" in text) == ("#TRACEBACK", True)
    with calling(address) as connection:
        kind, text = connection.ask(raw.call(ident, "__len__"))
        assert (kind, "KeyError" in text) == ("#TRACEBACK", True)


def test_calls_that_are_sent_before_they_are_answered(address):
    ident, _ = create(address, "list")
    with calling(address) as connection:
        requests = [raw.call(ident, "append", (number,)) for number in range(3)]
        requests.append(raw.call(ident, "__getitem__", (slice(None),)))
        connection.send_bytes(b"".join(map(raw.frame, requests)))
        replies = [connection.reply() for _ in requests]
    assert replies == [("#RETURN", None)] * 3 + [("#RETURN", [0, 1, 2])]


def test_many_calls_that_are_sent_before_they_are_answered(address):
    ident, _ = create(address, "list")
    with calling(address) as connection:
        requests = [raw.frame(raw.call(ident, "append", (number,))) for number in range(500)]
        sender = threading.Thread(target=connection.send_bytes, args=(b"".join(requests),))
        sender.start()
        replies = [connection.reply() for _ in requests]
        sender.join()
        assert replies == [("#RETURN", None)] * 500
        assert connection.ask(raw.call(ident, "pop")) == ("#RETURN", 499)


def test_the_short_request_of_a_length(address):
    ident, _ = create(address, "list", [5])
    with calling(address) as connection:
        for args in ((), []):
            assert connection.ask(raw.call(ident, "__len__", args)) == ("#RETURN", 1)
        assert connection.ask(raw.call(ident, "__repr__")) == ("#RETURN", "[5]")
        assert connection.ask(raw.call(ident, "#GETVALUE")) == ("#RETURN", [5])
        assert connection.ask(raw.call(ident, "pop", (), {})) == ("#RETURN", 5)


def test_errors_are_answers(address):
    ident, _ = create(address, "dict")
    with calling(address) as connection:
        kind, error = connection.ask(raw.call(ident, "__getitem__", ("zz",)))
        assert (kind, type(error), error.args) == ("#ERROR", KeyError, ("zz",))
        kind, text = connection.ask(raw.call(ident, "no_such_method"))
        assert (kind, "no_such_method" in text) == ("#TRACEBACK", True)
        kind, text = connection.ask(raw.call("0", "__len__"))
        assert kind == "#TRACEBACK"
        kind, text = connection.ask(raw.call("not hexadecimal", "__len__"))
        assert kind == "#TRACEBACK"
        assert connection.ask(raw.call(ident, "__len__")) == ("#RETURN", 0)


@pytest.mark.skipif(not subject.IS_STOCK, reason="Coheld answers with an iterator, not a proxy")
def test_iterators_come_as_proxies(address):
    ident, _ = create(address, "dict", {"a": 1})
    with calling(address) as connection:
        kind, (exposed, token) = connection.ask(raw.call(ident, "__iter__"))
        assert (kind, "__next__" in exposed) == ("#PROXY", True)
        assert (type(token).__name__, token.typeid) == ("Token", "Iterator")
        assert connection.ask(raw.call(token.id, "__next__")) == ("#RETURN", "a")
        kind, error = connection.ask(raw.call(token.id, "__next__"))
        assert (kind, type(error)) == ("#ERROR", StopIteration)
    before = ask(address, "number_of_objects")[1]
    assert ask(address, "decref", token.id) == ("#RETURN", None)
    assert subject.wait_until(lambda: ask(address, "number_of_objects")[1] == before - 1)


@marks.coheld_only
def test_iterators_come_as_they_are(address):
    """A copy in one answer instead of a call for each item."""
    ident, _ = create(address, "dict", {"a": 1, "b": 2})
    before = ask(address, "number_of_objects")[1]
    with calling(address) as connection:
        kind, iterator = connection.ask(raw.call(ident, "__iter__"))
        assert (kind, list(iterator)) == ("#RETURN", ["a", "b"])
        assert type(iterator).__module__ == "builtins"
    assert ask(address, "number_of_objects")[1] == before


def test_functions_that_do_not_exist(address):
    for name in ("no_such_function", "serve_forever", "__init__", ""):
        kind, text = ask(address, name)
        assert (kind, f"{name!r} unrecognized" in text) == ("#TRACEBACK", True)
    kind, text = ask(address, "create", "no such type")
    assert (kind, "KeyError" in text) == ("#TRACEBACK", True)
    kind, text = ask(address, "create", "list", 1, 2, 3)
    assert (kind, "TypeError" in text) == ("#TRACEBACK", True)


@pytest.mark.parametrize(
    "request_", [(1, 2), None, (None, "dummy", 5, {}), (None, ["dummy"], (), {}), "four"]
)
def test_requests_that_are_no_requests(address, request_):
    with connected(address) as connection:
        kind, text = connection.ask(pickle.dumps(request_))
    assert (kind, "Traceback" in text) == ("#TRACEBACK", True)
    assert ask(address, "dummy") == ("#RETURN", None)


@pytest.mark.parametrize("data", [b"no pickle", b"\x80\x04.", b"cno.such\nmodule\n.", b"\x80\xff."])
def test_requests_that_are_no_pickles(address, data):
    with connected(address) as connection:
        kind, text = connection.ask(data)
    assert (kind, "Traceback" in text) == ("#TRACEBACK", True)
    ident, _ = create(address, "list")
    with calling(address) as connection:
        kind, _text = connection.ask(data)
        assert kind == "#TRACEBACK"
        # The connection goes on.
        assert connection.ask(raw.call(ident, "__len__")) == ("#RETURN", 0)


def test_messages_of_no_length(address):
    with connected(address) as connection:
        connection.send(b"")
        assert raw.WELCOME not in _rest(connection)
    with calling(address) as connection:
        connection.send(b"")
        assert connection.is_at_end()
    assert ask(address, "dummy") == ("#RETURN", None)


def test_clients_that_go_in_the_middle(address):
    ident, _ = create(address, "list")
    for data in (b"\0", b"\0\0\0\x10", raw.frame(raw.DUMMY)[:-1], struct.pack("!iQ", -1, 2**62)):
        with connected(address) as connection:
            connection.send_bytes(data)
        with calling(address) as connection:
            connection.send_bytes(data)
    with calling(address) as connection:
        assert connection.ask(raw.call(ident, "__len__")) == ("#RETURN", 0)


def test_a_wrong_key(address, generation):
    with raw.connect(address) as connection:
        connection.answer_challenge(b"wrong", generation)
        assert connection.receive() == raw.FAILURE
    with raw.connect(address) as connection:
        connection.receive()
        connection.send(b"x" * 257)
        assert raw.WELCOME not in _rest(connection)
    assert ask(address, "dummy") == ("#RETURN", None)


def _rest(connection):
    data = b""
    try:
        while part := connection.socket.recv(4096):
            data += part
    except OSError:
        pass  # The server has hung up.
    return data


def test_a_client_that_refuses_the_server(address):
    with raw.connect(address) as connection:
        connection.answer_challenge(KEY, "modern" if IS_MODERN else "legacy")
        assert connection.receive() == raw.WELCOME
        connection.send(raw.CHALLENGE + (b"{sha256}" + b"x" * 40 if IS_MODERN else b"x" * 20))
        connection.receive()
        connection.send(raw.FAILURE)
        _rest(connection)
    assert ask(address, "dummy") == ("#RETURN", None)


class Handmade:
    """A server written by hand, with a thread for each connection."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(raw.SECONDS)
        self.address = self.listener.getsockname()
        self.serve = serve
        self.errors = []
        self.threads = []
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return  # The test is over.
            thread = threading.Thread(target=self._serve, args=(accepted,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, accepted):
        try:
            with raw.Connection(accepted) as connection:
                self.serve(connection)
        except BaseException as error:
            self.errors.append(error)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        # A thread in accept() is woken by this only, not by closing.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(raw.SECONDS)
        self.listener.close()
        assert exception[0] or not self.errors, self.errors


@pytest.fixture(params=GENERATIONS)
def server_generation(request):
    """Clients of every version understand both."""
    if request.param == "modern" and not IS_MODERN:
        pytest.skip("the stock manager has this handshake since 3.12")
    return request.param


def test_a_manager_by_hand(server_generation):
    asked, items = [], []

    def serve(connection):
        _body, response = connection.handshake_as_server(KEY, server_generation)
        assert len(response) == (16 if server_generation == "legacy" else 40)
        while True:
            try:
                request = connection.reply()
            except EOFError:
                return
            except pickle.UnpicklingError:
                # So Coheld asks whether this is a manager of its own.
                connection.send(pickle.dumps(("#TRACEBACK", "no pickle"), 4))
                return
            asked.append(request[1])
            connection.send(pickle.dumps(answer(*request), 4))
            if request[1] not in ("accept_connection", "append", "__len__"):
                return

    def answer(ident, method, args, kwds):
        assert type(kwds) is dict
        if method == "create":
            assert ident is None
            assert tuple(args) == ("list", [1])
            return "#RETURN", ("7f00deadbeef", ("append", "__len__"))
        if method == "append":
            assert ident == "7f00deadbeef"
            items.extend(args)
        return "#RETURN", len(items) if method == "__len__" else None

    with Handmade(serve) as server:
        manager = managers.SyncManager(address=server.address, authkey=KEY)
        manager.connect()
        shared = manager.list([1])
        assert shared._id == "7f00deadbeef"
        for number in range(3):
            shared.append(number)
        assert len(shared) == 3
        del shared
        assert subject.wait_until(lambda: asked.count("decref") == asked.count("incref") + 1)
    assert items == [0, 1, 2]
    assert asked.count("create") == 1
    assert asked.count("accept_connection") >= 1


def test_a_server_with_another_key(server_generation):
    def serve(connection):
        with pytest.raises((AssertionError, EOFError, ConnectionError)):
            connection.handshake_as_server(b"another key", server_generation)

    with Handmade(serve) as server:
        manager = managers.SyncManager(address=server.address, authkey=KEY)
        with pytest.raises(multiprocessing.AuthenticationError, match="digest sent was rejected"):
            manager.connect()


def test_a_server_that_cannot_prove_the_key(server_generation):
    """It welcomes everybody, but has no key itself."""

    def serve(connection):
        size = 20 if server_generation == "legacy" else 40
        prefix = b"" if server_generation == "legacy" else b"{sha256}"
        connection.send(raw.CHALLENGE + prefix + b"x" * size)
        try:
            connection.receive()
            connection.send(raw.WELCOME)
            connection.answer_challenge(b"guessed", server_generation)
            assert connection.receive() == raw.FAILURE
        except (EOFError, ConnectionError):
            pass  # It was not welcome.

    with Handmade(serve) as server:
        manager = managers.SyncManager(address=server.address, authkey=KEY)
        with pytest.raises(multiprocessing.AuthenticationError, match="digest received was wrong"):
            manager.connect()
