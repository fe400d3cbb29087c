"""A forwarder between a client and a manager: a network that can be counted, stopped and cut."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading


class Forwarder:
    """Listens at `address` and forwards to `target`, an address of host and port."""

    def __init__(self, target) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        #: Connections made, and messages that followed one of the other direction.
        self.connections = 0
        self.round_trips = 0
        self._is_open = True
        self._flows = threading.Event()
        self._flows.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Forwarder:
        return self

    def __exit__(self, *exception) -> None:
        self._is_open = False
        self._flows.set()
        # A thread in accept() is woken by this only.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End all connections as they are."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Let nothing through any more, and say nothing of it."""
        self._flows.clear()

    def go_on(self) -> None:
        """Let everything through again."""
        self._flows.set()

    def open_connections(self) -> int:
        with self._lock:
            return len(self._pairs)

    def _accept(self) -> None:
        while self._is_open:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._pairs.append((client, server))
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client, server) -> None:
        last = None
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            with contextlib.suppress(OSError):
                while True:
                    for key, _ in selector.select():
                        data = key.fileobj.recv(1 << 16)
                        self._flows.wait()
                        if not data:
                            raise OSError("the end")
                        key.data.sendall(data)
                        if key.fileobj is client and last is not client:
                            with self._lock:
                                self.round_trips += 1
                        last = key.fileobj
        with self._lock, contextlib.suppress(ValueError):
            self._pairs.remove((client, server))
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
