"""A server without Python, with clients of plain CPython; it never imports what they send."""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import managers as stock
from pathlib import Path

import pytest
import subject
from interop import pythons, running
from rust_server import KEY, RustServer

CLIENT = Path(__file__).with_name("rust_server_client.py")

STOCK = running.stock_ends()

ADDRESSES = {"tcp": "127.0.0.1:0", "path": "unix:{}/socket", "abstract": "abstract:coheld-{}-{}"}

#: Steps of the battery that use what only a server with Python has, and the first result of each
#: that does.
NEEDS_PYTHON = {
    # Objects of registered classes.
    "arguments_that_cannot_be_pickled": 0,
    "children_that_are_forked": 0,
    "children_that_are_spawned": 0,
    "copies": 5,
    "counts": 0,
    "exceptions": 0,
    "exposed_names": 0,
    "iterators": 0,
    "iterators_of_other_objects": 0,
    "methods_that_return_proxies": 0,
    "methods_that_use_other_objects": 0,
    "nested_automatic_proxies": 1,
    "nested_of_all_types": 3,
    "pickles": 6,
    "proxies_of_children": 0,
    "proxy_type_of_ones_own": 0,
    "registered_class": 0,
    "remote_errors": 0,
    "shutdown": 0,
    "singletons": 0,
    "texts": 10,
    "without_callable": 0,
    # Functions of Python: what hashes a key, what sorts, what runs in a pool.
    "dict_keys": 0,
    "keys_of_classes": 0,
    "list_order": 3,
    "pool": 0,
    "pool_that_is_closed": 0,
    "xmlrpc_classes": 0,
    "xmlrpc_shutdown": 0,
    # What is in a shared object before the first client.
    "xmlrpc_dicts": 1,
}


class Manager(stock.SyncManager):
    """A client of the standard library."""


class QueueManager(stock.BaseManager):
    """The one of the recipe in Python's documentation."""


for name in ("tasks", "results"):
    QueueManager.register(name)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server with the objects of the recipe."""
    started = RustServer(tmp_path, "tasks=Queue", "results=dict")
    # Where proxies that come inside of values look for it.
    monkeypatch.setattr(multiprocessing.current_process(), "authkey", KEY)
    yield started
    started.close()


def connect(server, factory=Manager):
    manager = factory(server.address, authkey=KEY)
    manager.connect()
    return manager


def until(condition, seconds=20):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it has taken too long"
        time.sleep(0.01)


def start_client(end, server, what):
    """A program of another Python that does not know Coheld."""
    return subprocess.Popen(
        [end.program, str(CLIENT), json.dumps(server.described), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=running.PLAIN_ENVIRONMENT,
    )


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", [*ADDRESSES, "xmlrpclib"])
@pytest.mark.parametrize("end", STOCK, ids=str)
def test_clients_get_what_the_standard_library_gives_them(end, how, tmp_path):
    serializer = how if how == "xmlrpclib" else "pickle"
    family = "tcp" if serializer == how else how
    address = ADDRESSES[family].format(tmp_path, os.getpid())
    if family == "abstract":
        address = address.replace("{}", end.program.replace("/", "-"))
    server = RustServer(tmp_path, "get_queue=Queue", "get_dict=dict", address=address)
    described = running.Server.__new__(running.Server)
    described.address = server.described
    described.key, described.serializer = KEY, serializer
    try:
        run = running.run_client(end, described, end.version, short=family != "tcp")
    finally:
        server.close()
    wanted = running.expected(end.version, end.program, serializer)

    def same(results):
        kept = results.items()
        return {key: text for key, text in kept if key[1] < NEEDS_PYTHON.get(key[0], 1 << 30)}

    wrong = running.problems(
        run._replace(results=same(run.results)), 0, wanted._replace(results=same(wanted.results))
    )
    assert not wrong, "\n".join([*wrong, run.errors])
    assert len(run.results) > 10


@pytest.mark.parametrize("end", STOCK, ids=str)
def test_objects_of_classes_that_the_server_does_not_have_come_back(end, server):
    client = start_client(end, server, "objects")
    output, errors = client.communicate(timeout=50)
    assert (client.returncode, output) == (0, b"done\n"), errors.decode()


@pytest.mark.parametrize("end", STOCK, ids=str)
def test_the_queue_server_of_the_documentation(end, server):
    workers = [start_client(end, server, "work") for _ in range(2)]
    try:
        manager = connect(server, QueueManager)
        tasks, results = manager.tasks(), manager.results()
        for number in range(20):
            tasks.put(number)
        for _ in workers:
            tasks.put(None)
        for worker in workers:
            _, errors = worker.communicate(timeout=50)
            assert worker.returncode == 0, errors.decode()
        assert results.copy() == {number: number**2 for number in range(20)}
        # The same objects for all who ask, from the beginning to the end.
        assert connect(server, QueueManager).results().get(7) == 49
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def test_a_client_that_is_killed_takes_no_item_with_it(server):
    manager = connect(server, QueueManager)
    tasks = manager.tasks()
    for round in range(5):
        client = start_client(STOCK[-1], server, "wait")
        try:
            assert client.stdout.readline() == b"waiting\n"
            time.sleep(0.05 * round)
            client.send_signal(signal.SIGKILL)
            client.wait()
            tasks.put(round)
            assert tasks.get(timeout=20) == round
        finally:
            client.kill()
            client.communicate()


def test_objects_go_when_nobody_holds_them(server):
    manager = connect(server)
    begun = manager._number_of_objects()
    outer = manager.list([manager.dict(a=manager.list([1]))])
    outer.append(outer)
    assert manager._number_of_objects() == begun + 3
    assert outer[0]["a"][0] == 1
    assert "refcount=1" in manager._debug_info()
    outer[:] = []
    until(lambda: manager._number_of_objects() == begun + 1)
    del outer
    until(lambda: manager._number_of_objects() == begun)


def test_errors(server):
    manager = connect(server)
    shared = manager.list([1, 2])
    with pytest.raises(IndexError, match="^list index out of range$"):
        shared[7]
    with pytest.raises(MemoryError):
        shared * 10**12
    assert shared[:] == [1, 2]
    with pytest.raises(stock.RemoteError) as raised:
        shared._callmethod("__class__")
    assert "AttributeError: method '__class__' of <class 'list'> object is not in exposed={" in str(
        raised.value
    )
    assert "KeyError: '__class__'" in str(raised.value)
    with pytest.raises(stock.RemoteError, match="no Python"):
        manager.Pool(2)
    with pytest.raises(stock.RemoteError, match="KeyError: 'unknown'"):
        manager._create("unknown")
    with pytest.raises(stock.RemoteError, match="takes no arguments"):
        manager._create("tasks", 5)
    with pytest.raises(TypeError, match="can be hashed by Python only"):
        manager.dict()[threading.Thread] = 1
    with pytest.raises(KeyError) as raised:
        manager.dict()[(1, "two")]
    assert raised.value.args == ((1, "two"),)
    with pytest.raises(queue.Empty):
        manager.Queue().get(timeout=0.01)
    with pytest.raises(stock.RemoteError, match="cannot pickle"):
        manager.Lock()._getvalue()
    with pytest.raises(stock.RemoteError, match="the action of a barrier"):
        manager.Barrier(2, print)


@pytest.mark.skipif(subject.IS_STOCK, reason="a test of Coheld's clients")
@pytest.mark.parametrize("route", ["memory", "wire"])
def test_clients_with_coheld(route, server, tmp_path):
    program = [sys.executable, str(CLIENT.with_name("rust_server_coheld.py"))]
    done = subprocess.run(
        [*program, json.dumps(server.described), route],
        env={**os.environ, "COHELD_ROUTE": "wire" if route == "wire" else ""},
        capture_output=True,
        timeout=50,
    )
    assert (done.returncode, done.stdout) == (0, b"done\n"), done.stderr.decode()


def test_garbage_is_refused_and_the_connection_goes_on(server):
    manager = connect(server)
    shared = manager.list([1])
    connection = manager._Client(server.address, authkey=KEY)
    stock.dispatch(connection, None, "accept_connection", ("raw",))
    connection.send_bytes(b"garbage")
    assert connection.recv()[0] == "#TRACEBACK"
    connection.send(("two", "things"))
    assert connection.recv()[0] == "#TRACEBACK"
    for ident in ("0", "", "f" * 40, None, 5):
        connection.send((ident, "append", (1,), {}))
        assert connection.recv()[0] == "#TRACEBACK"
    # Requests one behind the other, and arguments in a list.
    for number in range(4):
        connection.send((shared._id, "append", [number], {}))
    assert [connection.recv() for _ in range(4)] == [("#RETURN", None)] * 4
    connection.send_bytes(b"")
    with pytest.raises((EOFError, ConnectionResetError)):
        connection.recv()
    assert shared[:] == [1, 0, 1, 2, 3]


def test_a_client_ends_the_server(server):
    manager = connect(server)
    shared, raised = manager.Queue(), []

    def wait():
        try:
            shared.get()
        except (EOFError, OSError) as error:
            raised.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    connection = manager._Client(server.address, authkey=KEY)
    assert stock.dispatch(connection, None, "shutdown") is None
    assert server.process.wait(20) == 0
    waiting.join(20)
    assert len(raised) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_server(number, server, tmp_path):
    path = tmp_path / "socket"
    other = RustServer(tmp_path, address=f"unix:{path}")
    try:
        assert path.is_socket()
        other.process.send_signal(number)
        assert other.process.wait(20) == 0
        assert not path.exists()
    finally:
        other.close()


def test_the_commands_work_with_managers_of_python_too(tmp_path):
    key_file = tmp_path / "key"
    key_file.write_bytes(running.KEY)
    key_file.chmod(0o600)
    served = running.Server(
        running.End("stock", sys.version_info[:2], pythons_of_this_version()),
        {"tcp": ["127.0.0.1", 0]},
    )
    try:
        host, port = served.address["tcp"]
        client = RustServer.__new__(RustServer)
        client.text, client.key_file = f"{host}:{port}", key_file
        done = client.run("put", "get_queue", '{"a": [1, null]}')
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        done = client.run("get", "get_queue", "--json")
        assert (done.returncode, json.loads(done.stdout)) == (0, {"a": [1, None]}), done.stderr
        done = client.run("call", "get_dict", "setdefault", "key", "[7]")
        assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr
        done = client.run("ls")
        assert (done.returncode, done.stdout) == (1, "")
        assert "hint: only managers of `coheld serve` do" in done.stderr
        done = client.run("get", "get_queue")
        assert (done.returncode, done.stdout) == (1, "")
        assert "Empty" in done.stderr
    finally:
        served.close()


def pythons_of_this_version():
    """A plain Python of this version."""
    return pythons.stock_pythons().get(sys.version_info[:2], sys.executable)
