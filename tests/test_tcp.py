"""Managers whose address is a host and a port."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
import subprocess
import sys

import marks
import pytest
import subject
from subject import managers

FORK = multiprocessing.get_context("fork")

HOST = "127.0.0.1"


@pytest.fixture
def tcp_manager():
    """A started manager with a port that the system has chosen."""
    with managers.SyncManager(address=(HOST, 0), authkey=b"key", ctx=FORK) as manager:
        yield manager


def connect(address, authkey=b"key"):
    client = managers.SyncManager(address=address, authkey=authkey)
    client.connect()
    return client


def test_the_system_chooses_the_port(tcp_manager):
    host, port = tcp_manager.address
    assert host == HOST
    assert 1 <= port <= 65535
    shared = tcp_manager.list([1])
    shared.append(2)
    assert shared[:] == [1, 2]
    assert shared._token.address == (host, port)
    assert tcp_manager._number_of_objects() == 1


def test_host_by_name():
    with managers.SyncManager(address=("localhost", 0), authkey=b"key", ctx=FORK) as manager:
        assert manager.address[0] == HOST
        connect(("localhost", manager.address[1]))


def test_server_of_ones_own():
    server = managers.SyncManager(address=(HOST, 0), authkey=b"key").get_server()
    host, port = server.address
    assert (host, port != 0) == (HOST, True)
    server.listener.close()
    with pytest.raises(ConnectionRefusedError):
        connect((host, port))


def test_every_start_method(context):
    with managers.SyncManager(address=(HOST, 0), ctx=context) as manager:
        assert manager.dict(a=1).copy() == {"a": 1}


def append(shared, item):
    shared.append(item)
    return shared._token.address


def test_proxies_go_to_processes(context, processes):
    with managers.SyncManager(address=(HOST, 0), ctx=context) as manager:
        shared = manager.list()
        assert processes.run(context, append, shared, "child") == manager.address
        assert shared[:] == ["child"]


UNRELATED = """
import ast, pickle, sys
from {module} import SyncManager

with open(sys.argv[1], "rb") as file:
    address = ast.literal_eval(file.readline().decode())
    multiprocessing_key, pickled = bytes.fromhex(file.readline().decode()), file.read()
import multiprocessing
multiprocessing.current_process().authkey = multiprocessing_key
client = SyncManager(address=address, authkey=multiprocessing_key)
client.connect()
assert client.address == address
shared = pickle.loads(pickled)
shared.append("unrelated")
print(client.list([len(shared)])[:])
"""


def test_connect_from_an_unrelated_process(tmp_path):
    key = bytes(multiprocessing.current_process().authkey)
    with managers.SyncManager(address=(HOST, 0), ctx=FORK) as manager:
        shared = manager.list([1])
        script, message = tmp_path / "client.py", tmp_path / "message"
        script.write_text(UNRELATED.format(module=subject.MODULE))
        with message.open("wb") as file:
            file.write(f"{manager.address!r}\n{key.hex()}\n".encode())
            file.write(pickle.dumps(shared))
        ended = subprocess.run(
            [sys.executable, script, message], capture_output=True, text=True, timeout=30
        )
        assert (ended.stdout, ended.stderr, ended.returncode) == ("[2]\n", "", 0)
        assert shared[:] == [1, "unrelated"]


def test_wrong_key(tcp_manager):
    with pytest.raises(multiprocessing.AuthenticationError, match="digest sent was rejected"):
        connect(tcp_manager.address, b"wrong")
    connect(tcp_manager.address)


def test_restart_on_the_same_port(tcp_manager):
    address = tcp_manager.address
    tcp_manager.list()
    clients = [connect(address) for _ in range(3)]
    tcp_manager.shutdown()
    with pytest.raises(ConnectionRefusedError):
        connect(address)
    for _ in range(3):
        with managers.SyncManager(address=address, authkey=b"key", ctx=FORK) as again:
            assert again.address == address
            assert connect(address).list([1])[:] == [1]
    assert len(clients) == 3


def test_address_in_use(tcp_manager):
    with pytest.raises(OSError) as caught:
        managers.SyncManager(address=tcp_manager.address, authkey=b"key").get_server()
    assert "in use" in str(caught.value)
    with pytest.raises(EOFError):
        managers.SyncManager(address=tcp_manager.address, authkey=b"key", ctx=FORK).start()


def test_nobody_listens():
    with socket.socket() as free:
        free.bind((HOST, 0))
        address = free.getsockname()
    with pytest.raises(ConnectionRefusedError):
        connect(address)


# The stock manager leaves its sockets open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("address", "exception"),
    [
        ((HOST, 65536), OverflowError),
        ((HOST, -1), OverflowError),
        ((HOST, "80"), TypeError),
        ((HOST,), TypeError),
        ((HOST, 1, 2), TypeError),
        (("no such machine", 1), OSError),
    ],
)
def test_bad_addresses(address, exception):
    with pytest.raises(exception):
        managers.SyncManager(address=address, authkey=b"key").get_server()


@marks.coheld_only
def test_token_as_text(tcp_manager):
    shared = tcp_manager.list([1])
    host, port = tcp_manager.address
    assert shared._token.text.endswith(f" tcp:{host}:{port}")


@marks.coheld_only
def test_a_client_without_the_key_of_this_machine_gets_no_memory(tcp_manager):
    """What a scanner of ports sends is refused, and does no harm."""
    for data in (b"", b"GET / HTTP/1.0\r\n\r\n", os.urandom(100)):
        with socket.create_connection(tcp_manager.address, timeout=10) as stranger:
            received = stranger.recv(4096)
            assert b"#CHALLENGE#" in received
            stranger.sendall(data)
            try:
                stranger.shutdown(socket.SHUT_WR)
                while part := stranger.recv(4096):
                    received += part
            except OSError:
                pass  # The manager has hung up.
            assert b"COHELD" not in received
    assert tcp_manager.list([1])[:] == [1]
