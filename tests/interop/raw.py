"""The protocol of ``multiprocessing.managers`` by hand: bytes on a socket, without its modules.

What it sends is written down byte by byte, so a misunderstanding that two implementations share
is found.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import pickle
import socket
import struct

CHALLENGE = b"#CHALLENGE#"
WELCOME = b"#WELCOME#"
FAILURE = b"#FAILURE#"

#: How long a test waits for a byte.
SECONDS = 20

#: (None, 'dummy', (), {})
DUMMY = bytes.fromhex("8004 9510 0000 0000 0000 0028 4e8c 05") + b"dummy" + b"\x94)}\x94t\x94."

#: ('#RETURN', None)
RETURN_NONE = (
    bytes.fromhex("8004 950e 0000 0000 0000 008c 07") + b"#RETURN" + bytes.fromhex("944e 8694 2e")
)


def frame(payload):
    return struct.pack("!i", len(payload)) + payload


def long_frame(payload):
    """The form for what is longer than 2 GiB, which is allowed for everything."""
    return struct.pack("!iQ", -1, len(payload)) + payload


def _text(text):
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def accept_connection():
    """(None, 'accept_connection', ('raw',), {}) in protocol 2, as old as can be."""
    return b"\x80\x02(N" + _text("accept_connection") + _text("raw") + b"\x85}t."


def get_methods(typeid, address, ident):
    """(None, 'get_methods', (Token(typeid, address, ident),), {}), with the name of the class."""
    # Its opcodes, without those for the beginning and the end.
    address_part = pickle.dumps(address, 2)[2:-1]
    token = b"cmultiprocessing.managers\nToken\n)\x81"
    token += _text(typeid) + address_part + _text(ident) + b"\x87b"
    return b"\x80\x02(N" + _text("get_methods") + token + b"\x85}t."


def call(ident, method, args=(), kwds=None):
    return pickle.dumps((ident, method, args, kwds or {}), 4)


class Connection:
    """One end of a connection."""

    def __init__(self, sock):
        self.socket = sock
        self.socket.settimeout(SECONDS)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, payload):
        self.send_bytes(frame(payload))

    def receive_exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError(f"{len(data)} of {size} bytes came: {data!r}")
            data += part
        return data

    def receive(self):
        """One frame."""
        (size,) = struct.unpack("!i", self.receive_exactly(4))
        if size == -1:
            (size,) = struct.unpack("!Q", self.receive_exactly(8))
        return self.receive_exactly(size)

    def reply(self):
        """One frame with an object in it."""
        return pickle.loads(self.receive())

    def ask(self, payload):
        self.send(payload)
        return self.reply()

    def is_at_end(self):
        """Whether the other end has closed; a reset is an end, too."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    # The handshake; each end has to prove that it has the key.

    def answer_challenge(self, key, generation):
        """Prove to have the key. An old peer knows MD5 alone, whatever it is asked for."""
        message = self.receive()
        assert message[:11] == CHALLENGE, message
        body = message[11:]
        if generation == "legacy":
            self.send(hmac.new(key, body, "md5").digest())
        else:
            assert body[:8] == b"{sha256}" and len(body) == 48, body
            self.send(b"{sha256}" + hmac.new(key, body, "sha256").digest())
        return body

    def challenge(self, key, generation):
        """Have the other end prove it; return what it has sent."""
        body = os.urandom(20) if generation == "legacy" else b"{sha256}" + os.urandom(40)
        self.send(CHALLENGE + body)
        response = self.receive()
        if len(response) == 16:
            right = hmac.new(key, body, "md5").digest()
        else:
            name, _, digest = response[1:].partition(b"}")
            assert name.decode() in hashlib.algorithms_available, response
            right = b"{" + name + b"}" + hmac.new(key, body, name.decode()).digest()
        self.send(WELCOME if response == right else FAILURE)
        assert response == right, response
        return response

    def handshake_as_client(self, key, generation="modern"):
        self.answer_challenge(key, generation)
        assert self.receive() == WELCOME
        self.challenge(key, generation)

    def handshake_as_server(self, key, generation="modern"):
        response = self.challenge(key, generation)
        body = self.answer_challenge(key, generation)
        assert self.receive() == WELCOME
        return body, response


def connect(address):
    """A connection to an address as Python has it: a tuple, a path, or an abstract name."""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    sock = socket.socket(family)
    sock.settimeout(SECONDS)
    sock.connect(address)
    return Connection(sock)


def connected(address, key, generation="modern"):
    """A connection that is past the handshake."""
    connection = connect(address)
    try:
        connection.handshake_as_client(key, generation)
    except BaseException:
        connection.socket.close()
        raise
    return connection
