"""A server in a process of its own, so that what its objects do harms nobody else."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import multiprocessing
import os
from multiprocessing import connection, process

from ._carriage import outgoing_pickle
from ._errors import ProxyError

#: Seconds after which the process looks whether the one that has started it is still there.
_LOOK = 1.0


class _Registrar:
    """What the starting process calls: it has the objects made over to the server."""

    def __init__(self, server):
        self._server = server

    def create(self, target, exposed, readonly, most_levels):
        self._server._proxy_chaining_max_level = most_levels
        return self._server.create_proxy(target, exposed=exposed, readonly=readonly)

    def remove(self, target):
        self._server.remove(target)


def _main(pipe, bufsize, authkey, starter):
    from ._server import ProxyServer

    process.current_process().authkey = authkey
    server = ProxyServer(bufsize)
    server.run()
    pipe.send(server.create_proxy(_Registrar(server)))
    parent = multiprocessing.parent_process()
    watched = [pipe] if parent is None else [pipe, parent.sentinel]
    # The other ends of both are inherited by whatever the starter forks, so they may outlive it.
    while not connection.wait(watched, _LOOK):
        if not _is_there(starter):
            break
    server.stop()


def _is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class ServerProcess:
    """The process of a server, as the process that has started it sees it."""

    def __init__(self, bufsize, context=None):
        context = context or multiprocessing.get_context()
        self._pipe, theirs = context.Pipe()
        key = process.current_process().authkey
        arguments = (theirs, bufsize, key, os.getpid())
        self._process = context.Process(target=_main, args=arguments, name="coheld-proxies")
        self._process.daemon = True
        self._process.start()
        theirs.close()
        try:
            self._registrar = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise ProxyError(
                "the process of the server ended before it could serve, with exit code "
                f"{self._process.exitcode}"
            ) from None

    def create(self, target, exposed, readonly, most_levels):
        """Have the process keep a copy of an object; return its proxy."""
        if outgoing_pickle(target) is None:
            raise TypeError(
                f"cannot move {type(target).__name__!r} object into the process of the server: it "
                "does not pickle; have it made there by a function or class of which you create a "
                "proxy, or use a server without process=True"
            )
        from ._proxy import link_of

        shared = self._registrar.create(target, exposed, readonly, most_levels)
        link = link_of(shared)
        link.level, link.limit = 0, most_levels
        return shared

    def remove(self, target):
        """Have the process let go of the object of a proxy."""
        self._registrar.remove(target)

    def stop(self):
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
