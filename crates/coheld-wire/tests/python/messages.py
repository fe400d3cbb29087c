"""Writes the messages of a stock manager, then reads those of the other end and looks at them."""

import datetime
import multiprocessing.managers as managers
import pickle
import queue
import struct
import sys
import threading
import xmlrpc.client


class Proxy:
    """What a proxy is to the pickler, without a manager behind it."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return managers.RebuildProxy, self.arguments


def send(message):
    sys.stdout.buffer.write(struct.pack("<Q", len(message)) + message)


def receive():
    (length,) = struct.unpack("<Q", sys.stdin.buffer.read(8))
    return sys.stdin.buffer.read(length)


def text(message):
    return xmlrpc.client.dumps((message,), None, None, None, 1).encode()


def write():
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        send(pickle.dumps((None, "dummy", (), {}), protocol))
        send(pickle.dumps(("7f00", "get", ["k"], {"block": False}), protocol))
        for address in [None, "/tmp/socket", b"\0name", ("localhost", 50000)]:
            if type(address) is bytes and protocol < 3:
                continue  # It is written as a call there.
            token = managers.Token("list", address, "7f00")
            send(pickle.dumps(("#PROXY", (("append", "pop"), token)), protocol))
            arguments = managers.ListProxy, token, "pickle", {}
            send(pickle.dumps(("#RETURN", [Proxy(*arguments)]), protocol))
        arguments = managers.AutoProxy, token, "pickle", {"exposed": ("get", "put")}
        send(pickle.dumps(("#RETURN", [Proxy(*arguments)]), protocol))
        send(pickle.dumps(("#ERROR", KeyError("zz")), protocol))
        error = queue.Empty()
        error.note = 1
        send(pickle.dumps(("#ERROR", error), protocol))
        send(pickle.dumps(("#TRACEBACK", "Traceback\n\ud800"), protocol))
        send(pickle.dumps(("#UNSERIALIZABLE", "<lock>"), protocol))
        send(b"")
    value = [1, True, None, 2.5, "a<&>\n\u00e9", b"x" * 100, {"k": []}]
    send(text((None, "dummy", (value, datetime.datetime(2026, 1, 1)), {"k": 1})))
    send(text(("#RETURN", value)))
    sys.stdout.buffer.flush()


def read():
    assert receive() == pickle.dumps((None, "dummy", (), {}), 4)
    assert receive() == pickle.dumps(("#RETURN", None), 4)
    assert receive() == pickle.dumps(("#TRACEBACK", "text"), 4)
    assert receive() == pickle.dumps(("7f00", "__len__", (), {}), 4)
    assert pickle.loads(receive()) == ("7f00", "get", ("k", b"\0"), {"block": False})
    for address in [None, "/tmp/socket", b"\0name", ("localhost", 50000)]:
        kind, (exposed, token) = pickle.loads(receive())
        assert (kind, exposed) == ("#PROXY", ("append",))
        assert type(token) is managers.Token
        assert (token.typeid, token.address, token.id) == ("list", address, "7f00")
    managers.RebuildProxy = lambda *arguments: arguments
    kind, (function, token, serializer, named) = pickle.loads(receive())
    assert function is managers.AutoProxy and token.id == "7f00"
    assert (kind, serializer, named) == ("#RETURN", "pickle", {"exposed": ("get", "put")})
    for expected in [KeyError("zz"), queue.Empty(), queue.Full(), threading.BrokenBarrierError()]:
        kind, error = pickle.loads(receive())
        assert kind == "#ERROR" and type(error) is type(expected)
        assert error.args == expected.args
    (message,), _ = xmlrpc.client.loads(receive().decode())
    ident, method, arguments, named = message
    assert (ident, method, named) == ("7f00", "append", {"k": None})
    assert arguments[:5] == [1 << 40, False, 0.1, "a\r\n<\u20ac>", [{"": []}]], arguments
    assert arguments[5].data == bytes(range(256))
    assert str(arguments[6]) == "20260101T00:00:00"
    print("fine", flush=True)


write()
read()
