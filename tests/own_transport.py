"""Connections of a program's own, as some programs make them for TLS: here, all bytes are flipped.

Run as a program, it is a manager or a client: own_transport.py MODULE serve|use [ADDRESS]
"""

from __future__ import annotations

import importlib
import json
import socket
import sys
from multiprocessing import connection

NAME = "flipped"
KEY = b"the key of the flipped"
_FLIP = bytes(range(255, -1, -1))


class FlippedConnection(connection.Connection):
    """Sends every byte as its complement."""

    def _send(self, buf, write=connection.Connection._write):
        super()._send(bytes(buf).translate(_FLIP), write)

    def _recv(self, size, read=connection.Connection._read):
        buffer = super()._recv(size, read)
        flipped = type(buffer)(buffer.getvalue().translate(_FLIP))
        flipped.seek(0, 2)
        return flipped


class FlippedListener:
    """Accepts such connections."""

    def __init__(self, address=None, backlog=1):
        self._listener = socket.create_server(address or ("127.0.0.1", 0), backlog=backlog)
        self.address = self._listener.getsockname()

    def accept(self):
        return FlippedConnection(self._listener.accept()[0].detach())

    def close(self):
        self._listener.close()


def flipped_client(address, authkey=None):
    """Makes such a connection."""
    made = FlippedConnection(socket.create_connection(address).detach())
    connection.answer_challenge(made, authkey)
    connection.deliver_challenge(made, authkey)
    return made


def manager_of(module, address=None):
    managers = importlib.import_module(module)
    managers.listener_client[NAME] = (FlippedListener, flipped_client)
    return managers.SyncManager(address=address, authkey=KEY, serializer=NAME)


def use(manager):
    """What a client does; the results."""
    manager.connect()
    numbers = manager.list([1, 2, 3])
    numbers.append(4)
    entries = manager.dict(numbers=7)
    queue = manager.Queue()
    queue.put("item")
    results = [numbers[:], len(numbers), dict(entries.items()), queue.get(timeout=5)]
    try:
        entries["nothing"]
    except KeyError as error:
        results.append(repr(error))
    return results


EXPECTED = [[1, 2, 3, 4], 4, {"numbers": 7}, "item", "KeyError('nothing')"]


def main():
    module, role, *address = sys.argv[1:]
    if role == "serve":
        server = manager_of(module).get_server()
        print(json.dumps(server.address), flush=True)
        server.serve_forever()
    else:
        address = tuple(json.loads(address[0]))
        # What unpickles by itself needs the key of the process.
        importlib.import_module("multiprocessing").current_process().authkey = KEY
        print(json.dumps(use(manager_of(module, address))))


if __name__ == "__main__":
    main()
