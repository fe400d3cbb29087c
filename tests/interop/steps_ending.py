"""The last step: a client asks the server for its end."""

from __future__ import annotations

import time
from multiprocessing.managers import dispatch, listener_client

from battery import outcome, step


def ending(world):
    shared = world.manager.Counter()
    yield shared.add()
    connect = listener_client[world.serializer][1]
    connection = connect(world.address, authkey=world.key)
    yield dispatch(connection, None, "shutdown")
    end = time.monotonic() + 20
    # Stock may crash when clients come while it ends, so this one uses what it has.
    while not isinstance(outcome(shared.add), (EOFError, OSError)) and time.monotonic() < end:
        time.sleep(0.02)
    yield has_ended(outcome(shared.add)), "failed" in str(shared)
    yield has_ended(outcome(world.connect))


def has_ended(found):
    """Whether there was no server; if there was, what has come of it."""
    return isinstance(found, (EOFError, OSError)) or repr(found)


@step(short=True, last=True)
def shutdown(world):
    yield from ending(world)


@step(serializer="xmlrpclib", last=True)
def xmlrpc_shutdown(world):
    yield from ending(world)
