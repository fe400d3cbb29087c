"""The server of a manager, as the process that runs it sees it."""

import os
import shutil
import sys
import tempfile
import threading
from multiprocessing import connection, process, util

from . import _coheld

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


class Server:
    """A manager's server, to be run by the process that makes it. See `BaseManager.get_server`."""

    def __init__(self, registry, address, authkey, serializer, capacity=None, owner_died="warn"):
        self.registry = registry
        self.authkey = process.AuthenticationString(authkey)
        if address is None:
            address = _arbitrary_address()
        self._server = _coheld.Server(address, self.authkey, capacity, owner_died == "error")
        self.address = self._server.address

    def serve_forever(self):
        """Serve until a manager that is connected asks for the end; then exit the process."""
        serving = threading.Thread(target=self._server.serve, daemon=True)
        serving.start()
        try:
            serving.join()
        except (KeyboardInterrupt, SystemExit):
            self._server.stop()
            serving.join()
        sys.exit(0)

    def serve_for(self, parent):
        """Serve until asked to end, or until the process *parent* has ended."""
        if parent is None or parent.pid == os.getppid():
            self._server.serve(os.getppid() if parent is None else parent.pid)
            return
        # Started by a fork server, which lives as long as this process does.
        watch = threading.Thread(target=self._stop_after, args=(parent,), daemon=True)
        watch.start()
        self._server.serve()

    def _stop_after(self, parent):
        parent.join()
        self._server.stop()
