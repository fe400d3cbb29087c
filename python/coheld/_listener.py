"""Listening by an entry that a program has made in ``listener_client``, for TLS for instance.

Such connections are the program's own, from the accepting on. So they are served by threads of
Python here, in the protocol of the standard library.
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import threading
from multiprocessing import connection, util

#: What a listener is told of clients that wait to be accepted; of the newer standard libraries.
_BACKLOG = 128


class OwnListener:
    """A listener of a program's own, and the thread that accepts."""

    def __init__(self, listener_class, address, authkey):
        self._listener = listener_class(address=address, backlog=_BACKLOG)
        self._authkey = authkey
        self._serve = None

    @property
    def address(self):
        """Where it listens."""
        return self._listener.address

    def start(self, serve):
        """Have `serve` called with each client that has proved to have the key."""
        self._serve = serve
        threading.Thread(target=self._accept, name="coheld-listener", daemon=True).start()

    def close(self):
        """Stop listening."""
        self._listener.close()

    def _accept(self):
        while True:
            try:
                accepted = self._listener.accept()
            except OSError as error:
                if self._is_closed():
                    return
                util.debug("a client was not accepted: %s", error)
                continue
            threading.Thread(target=self._receive, args=(accepted,), daemon=True).start()

    def _is_closed(self):
        inner = getattr(self._listener, "_listener", self._listener)
        return inner is None

    def _receive(self, accepted):
        try:
            connection.deliver_challenge(accepted, self._authkey)
            connection.answer_challenge(accepted, self._authkey)
        except Exception as error:
            util.debug("a client has not proved to have the key: %s", error)
            accepted.close()
            return
        self._serve(OwnConnection(accepted))


class OwnConnection:
    """A connection of a program's own, as `Client` wants one."""

    is_session = False
    own_address = None

    def __init__(self, accepted):
        self._accepted = accepted
        self.recv_bytes = accepted.recv_bytes
        self.send_bytes = accepted.send_bytes
        self.close = accepted.close
        self.fileno = accepted.fileno

    @property
    def closed(self):
        """Whether the connection is closed."""
        return self._accepted.closed
