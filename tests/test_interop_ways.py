"""Coheld and plain CPython in less common ways: many at once, other names, keys, shared memory."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import subprocess

import marks
import pytest
from interop import running
from test_interop import FULL, STOCK, SUBJECT, own_python

#: Plain ends that stand for all: the oldest and the newest one.
FEW = sorted({min(STOCK), max(STOCK)}) if STOCK else []

#: Steps that take it for granted that nobody else uses the server.
ALONE = ("counts", "singletons", "debug_info", "shutdown")


@contextlib.contextmanager
def serving(end, address):
    server = running.Server(end, address)
    try:
        yield server
    finally:
        server.close()


def directions():
    """Pairs of a server and a client."""
    return [(SUBJECT, end) for end in FEW] + [(end, SUBJECT) for end in FEW]


def name(value):
    return str(value) if isinstance(value, running.End) else None


def check(run, client):
    """Compare what has come of a client's steps with what has to come of them."""
    program = own_python() if client is SUBJECT else client.program
    right = running.expected(client.version, program)
    wrong = running.problems(run, 0, right)
    if wrong:
        pytest.fail("\n".join([str(client), *wrong, run.errors]), pytrace=False)


def level_of(server, client):
    return min(server.level, client.level, client.version)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("server_end", "client_end"), directions()[:: 1 if FULL else 2], ids=name)
@pytest.mark.parametrize("bound", ["127.0.0.1", ""], ids=["one host", "every host"])
def test_other_names_of_the_host(server_end, client_end, bound):
    """Proxies inside values have the address that their sender knows the server by."""
    with serving(server_end, {"tcp": [bound, 0]}) as server:
        address = {"tcp": ["localhost", server.address["tcp"][1]]}
        run = running.run_client(
            client_end,
            server,
            level_of(server_end, client_end),
            address=address,
            short=True,
            without=("shutdown",),
        )
    check(run, client_end)


@marks.coheld_only
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("server_end", "client_end"), directions(), ids=name)
def test_keys_that_managers_alone_have(server_end, client_end):
    """With stock on both sides, nested proxies do not find their key then."""
    run, status, _errors = running.run_pair(server_end, client_end, "abstract", own_keys=False)
    assert status == 0
    check(run, client_end)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("family", running.FAMILIES)
def test_clients_of_all_versions_at_once(family, tmp_path):
    """Each of them gets the results that it gets alone."""
    clients = [*STOCK, SUBJECT]
    with serving(SUBJECT, running.new_address(family, str(tmp_path))) as server:
        with concurrent.futures.ThreadPoolExecutor(len(clients)) as executor:
            futures = {
                client: executor.submit(
                    running.run_client,
                    client,
                    server,
                    level_of(SUBJECT, client),
                    short=family != "path" or not FULL,
                    without=ALONE,
                )
                for client in clients
            }
        for client in clients:
            check(futures[client].result(), client)


SHARED_MEMORY = """
import json, sys
from {module} import SharedMemoryManager
address, key, what = json.loads(sys.argv[1]), bytes.fromhex(sys.argv[2]), sys.argv[3]
manager = SharedMemoryManager(
    address=tuple(address) if isinstance(address, list) else address, authkey=key
)
if what == "serve":
    import ctypes
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, 9)
    server = manager.get_server()
    print(json.dumps(server.address), flush=True)
    server.serve_forever()
else:
    manager.connect()
    block = manager.SharedMemory(100)
    block.buf[:5] = b"hello"
    names = manager.ShareableList([1, "two"])
    print(json.dumps([names[1], bytes(block.buf[:5]).decode(), len(block.name) > 0]))
"""


@pytest.mark.parametrize(("server_end", "client_end"), directions(), ids=name)
def test_shared_memory_managers(server_end, client_end, tmp_path):
    """The names of blocks are kept by the server."""

    def start(end, address, what):
        module = "coheld.managers" if end.subject == "coheld" else "multiprocessing.managers"
        return subprocess.Popen(
            [
                end.program,
                "-c",
                SHARED_MEMORY.format(module=module),
                json.dumps(address),
                b"key".hex(),
                what,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=running.PLAIN_ENVIRONMENT,
            text=True,
        )

    server = start(server_end, str(tmp_path / "socket"), "serve")
    try:
        address = json.loads(server.stdout.readline())
        client = start(client_end, address, "use")
        output, errors = client.communicate(timeout=30)
        assert json.loads(output or "null") == ["two", "hello", True], errors
    finally:
        server.kill()
        server.communicate()
