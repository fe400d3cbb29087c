"""Clients that share no memory with their manager: everything goes through connections."""

from __future__ import annotations

import datetime
import gc
import hmac
import multiprocessing
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import coheld
import pytest
import remote_types
import subject
from coheld import managers
from conftest import die_with_parent
from forwarder import Forwarder
from test_buffer_views import Picture

KEY = b"the key of the remote tests"


@pytest.fixture(autouse=True)
def route(monkeypatch):
    """Has this process and those that it starts take connections, as from another machine."""
    monkeypatch.setenv("COHELD_ROUTE", "wire")


@pytest.fixture
def server():
    """A manager that listens at a port of this machine, and the right to ask it directly."""
    with remote_types.Server() as started:
        yield started


@pytest.fixture
def network(server):
    """A forwarder to the server."""
    with Forwarder(server.address) as forwarder:
        yield forwarder


def connect(address, **options):
    manager = remote_types.Manager(address=address, authkey=KEY, **options)
    manager.connect()
    return manager


@pytest.fixture
def manager(network):
    """A manager that is connected through the forwarder."""
    return connect(network.address)


# ---- The route ----------------------------------------------------------------------------------


def test_the_proxies_are_the_usual_ones(manager):
    kinds = {
        "list": managers.ListProxy,
        "dict": managers.DictProxy,
        "set": managers.SetProxy,
        "Namespace": managers.NamespaceProxy,
        "Lock": managers.AcquirerProxy,
        "Event": managers.EventProxy,
        "Queue": managers.BaseProxy,
    }
    for typeid, kind in kinds.items():
        proxy = getattr(manager, typeid)()
        assert isinstance(proxy, kind), typeid
        assert repr(proxy).endswith(f"typeid {typeid!r} at {id(proxy):#x}>")
    assert manager._link is not None and manager._attachment is None


def test_what_needs_the_memory_says_so(manager):
    numbers = manager.list([1])
    with pytest.raises(TypeError, match="reached through a connection"):
        numbers.get_lock()
    with pytest.raises(coheld.CoheldError, match="out of reach"):
        manager._statistics()


def test_a_view_needs_the_memory(manager):
    shared = manager.Array("i", [1, 2, 3])
    with pytest.raises(BufferError, match="copy"):
        memoryview(shared)
    assert shared[:].tolist() == [1, 2, 3]


def test_large_values_travel_whole(manager):
    """Here, where they lie in pieces in the memory that the client does not have."""
    content = os.urandom(200_000)
    shared = manager.dict({"bytes": content, "picture": Picture(bytearray(content), "p")})
    shared["list"] = [Picture(content), 1]
    assert shared["bytes"] == shared.view("bytes") == content
    assert type(shared.view("bytes")) is memoryview
    for found in (shared["picture"], shared.view("picture")):
        assert found == Picture(content, "p") and type(found.pixels) is bytearray
    assert shared["list"][0].pixels == content
    with pytest.raises(TypeError, match="nothing to view"):
        manager.list([1]).view(0)


def test_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with remote_types.Server(("::1", 0)) as server:
        assert server.address[0] == "::1"
        numbers = connect(server.address).list([1, 2])
        assert numbers[:] == [1, 2]


def test_every_thread_has_a_connection_and_gives_it_back(manager, network):
    numbers = manager.list(range(10))
    before = network.open_connections()
    barrier = threading.Barrier(9)

    def work():
        assert numbers[3] == 3
        barrier.wait()
        barrier.wait()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    barrier.wait()
    assert network.open_connections() == before + 8
    barrier.wait()
    for thread in threads:
        thread.join()
    assert subject.wait_until(lambda: network.open_connections() == before)


# ---- Few round trips ----------------------------------------------------------------------------


def round_trips(network, work):
    before = network.round_trips
    work()
    return network.round_trips - before


def test_bulk_work_takes_few_round_trips(manager, network):
    numbers = manager.list(range(10_000))
    entries = manager.dict()
    numbers[0]

    def iterate():
        assert list(numbers) == list(range(10_000))

    def update():
        entries.update((number, str(number)) for number in range(20_000))

    def iterate_keys():
        assert sum(1 for _ in entries) == 20_000

    def extend():
        numbers.extend(number for number in range(5_000))

    def create_and_drop():
        for _ in range(100):
            manager.list()
        gc.collect()

    assert round_trips(network, iterate) <= 12
    assert round_trips(network, update) <= 2
    assert round_trips(network, iterate_keys) <= 2
    assert round_trips(network, extend) <= 2
    # Of the other hundred messages nobody waits for the answer.
    assert round_trips(network, create_and_drop) <= 100 + 110


def test_creating_and_dropping_makes_no_connections(manager, network):
    manager.list()
    before = network.connections
    for _ in range(50):
        manager.list()
    assert network.connections == before


# ---- References ---------------------------------------------------------------------------------


def test_what_is_dropped_is_gone(manager, server):
    before = server.count()
    kept = [manager.list() for _ in range(30)]
    nested = manager.dict(inner=kept[0])
    assert server.count() == before + 31
    del kept
    assert subject.wait_until(lambda: server.count() == before + 2)
    inner = nested["inner"]
    inner.append(1)
    del nested
    assert subject.wait_until(lambda: server.count() == before + 1)
    assert inner[:] == [1]
    del inner
    assert subject.wait_until(lambda: server.count() == before)


def test_a_pickled_proxy_keeps_its_object(manager):
    pickled = pickle.dumps(manager.list([1, 2]))
    gc.collect()
    assert pickle.loads(pickled)[:] == [1, 2]


def hold_and_wait(address, ready):
    die_with_parent()
    held = [connect(address).list() for _ in range(20)]
    ready.send(len(held))
    time.sleep(600)


def test_what_a_killed_client_holds_goes(tmp_path):
    # Over a Unix socket, where nobody waits for a network to come back.
    with remote_types.Server(str(tmp_path / "socket")) as server:
        check_that_a_killed_client_holds_nothing(server)


def check_that_a_killed_client_holds_nothing(server):
    before = server.count()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=hold_and_wait, args=(server.address, theirs))
    child.start()
    try:
        assert ours.poll(30) and ours.recv() == 20
        assert server.count() == before + 20
    finally:
        child.kill()
        child.join()
    assert subject.wait_until(lambda: server.count() == before, 20)


def append_and_read(numbers, number):
    numbers.append(number)
    return numbers[:]


def test_proxies_go_to_children(manager, processes, context):
    numbers = manager.list([1])
    assert processes.run(context, append_and_read, numbers, 2) == [1, 2]
    assert numbers[:] == [1, 2]


def test_a_forked_child_has_what_its_parent_drops(manager, processes):
    held = [manager.list([1])]
    go, wait = os.pipe()[::-1]

    def work():
        os.read(wait, 1)
        return append_and_read(held[0], 2) == [1, 2]

    child = processes.fork(work)
    held.clear()
    gc.collect()
    manager.list()
    os.write(go, b"x")
    assert processes.join_fork(child) == 0


def test_parent_and_child_do_not_read_each_others_answers(manager, processes):
    numbers = manager.list(range(100))
    numbers[0]

    def work():
        return all(numbers[number] == number for number in range(100))

    children = [processes.fork(work) for _ in range(3)]
    for _ in range(5):
        assert all(numbers[number] == number for number in range(100))
    assert [processes.join_fork(child) for child in children] == [0, 0, 0]


def hold_and_end(address):
    held = [connect(address).list() for _ in range(20)]
    return len(held)


def test_what_a_client_holds_goes_with_its_end(server, processes, context):
    before = server.count()
    assert processes.run(context, hold_and_end, server.address) == 20
    assert subject.wait_until(lambda: server.count() == before)


# ---- Keys ---------------------------------------------------------------------------------------


def read(numbers):
    # A proxy inside a value: it brings no key along.
    return numbers[0][:]


def test_children_know_the_key(manager, processes, context):
    assert multiprocessing.current_process().authkey != KEY
    outer = manager.list([manager.list([1, 2])])
    assert processes.run(context, read, outer) == [1, 2]


def test_a_wrong_key_is_refused_by_name(server):
    with pytest.raises(multiprocessing.AuthenticationError, match="digest sent was rejected") as e:
        remote_types.Manager(address=server.address, authkey=b"wrong").connect()
    assert str(server.address[1]) in str(e.value)


# ---- When the network or the manager goes -------------------------------------------------------


def test_a_dead_connection_is_not_used_again(manager, network):
    numbers = manager.list([1, 2])
    assert numbers[:] == [1, 2]
    network.cut()
    assert subject.wait_until(lambda: network.open_connections() == 0)
    # Nothing was under way: the next call connects again.
    assert numbers[:] == [1, 2]


def test_a_call_that_loses_its_connection_is_one_clear_error(manager, network):
    event = manager.Event()
    failed = []

    def wait():
        try:
            event.wait(30)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert subject.wait_until(lambda: network.open_connections() >= 2)
    time.sleep(0.2)
    network.cut()
    thread.join(20)
    (error,) = failed
    assert isinstance(error, coheld.ManagerGone)
    for stock in (BrokenPipeError, ConnectionRefusedError, ConnectionResetError, EOFError):
        assert isinstance(error, stock)
    assert "'wait'" in str(error) and str(network.address[1]) in str(error)
    assert not event.is_set()


def test_restart_of_the_manager(server):
    address = server.address
    manager = connect(address)
    old = manager.list([1])
    assert old[0] == 1
    server.stop()
    with pytest.raises(coheld.ManagerGone):
        old[0]
    with remote_types.Server(address):
        new = manager.list([2])
        assert new[:] == [2]
        with pytest.raises(coheld.ManagerGone, match="started anew"):
            old[0]
        assert new[:] == [2]


def test_interrupted_calls_leave_nothing_behind(manager):
    queue, numbers = manager.Queue(), manager.list([1, 2, 3])

    class Alarm(Exception):
        pass

    def handler(signum, frame):
        raise Alarm

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Alarm):
            queue.get()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(numbers) == 3
    assert numbers[1:] == [2, 3]


def test_limits(manager, network):
    queue, numbers = manager.Queue(), manager.list([1])
    with pytest.raises(coheld.CallTimeout):
        queue._callmethod("get", timeout=0.2)
    with coheld.call_timeout(0.2), pytest.raises(coheld.CallTimeout):
        queue.get()
    assert numbers[0] == 1
    limited = connect(network.address, call_timeout=0.2)
    with pytest.raises(TimeoutError):
        limited.Queue().get()


def test_a_network_that_says_nothing(manager, network):
    numbers = manager.list([1])
    assert numbers[0] == 1
    network.stop()
    with coheld.call_timeout(0.3), pytest.raises(coheld.CallTimeout):
        numbers[0]
    network.go_on()
    assert numbers[0] == 1


# ---- Objects of any class -----------------------------------------------------------------------


def test_errors_have_their_traceback(manager):
    account = manager.Account()
    with pytest.raises(remote_types.AccountError) as caught:
        account.fail("so")
    assert caught.value.args == ("so",)
    assert "in fail" in str(caught.value.__cause__)
    with pytest.raises(managers.RemoteError, match="deliberately"):
        manager.Account(fail="deliberately")


def test_methods_return_proxies_in_any_process(manager, processes, context):
    account = manager.Account()
    assert processes.run(context, remote_types.use_sub_account, account) == 5
    assert account.sub("a").balance() == 5


def test_both_routes_work_on_the_same_object(manager, server, monkeypatch):
    remote = manager.list([1])
    monkeypatch.delenv("COHELD_ROUTE")
    near = pickle.loads(pickle.dumps(remote))
    assert manager._link is not None
    near.append(2)
    assert remote[:] == [1, 2]


# ---- What is unpickled --------------------------------------------------------------------------


class Sent:
    """Something that a client sends."""


def test_a_manager_unpickles_what_it_is_told_to():
    with remote_types.Server(allowed_types=["datetime.*"]) as server:
        manager = connect(server.address)
        kept = manager.list([1, "a", {2: (3.0, None)}, {4}, b"5"])
        kept.append(datetime.timedelta(1))
        kept.append(manager.list([6]))
        assert kept[5] == datetime.timedelta(1) and kept[6][0] == 6
        with pytest.raises(managers.RemoteError, match="Sent is not among the allowed_types"):
            kept.append(Sent())
        with pytest.raises(managers.RemoteError, match="os.system|posix.system"):
            kept.append(os.system)
        # The connection goes on.
        assert len(kept) == 7


def test_allowed_types_are_names():
    for wrong in ("datetime.*", [datetime.date]):
        with pytest.raises(TypeError, match="allowed_types"):
            managers.SyncManager(allowed_types=wrong)


# ---- In the place of the standard library -------------------------------------------------------

INSTALLED_SERVER = """
import sys
import coheld
coheld.install()
from multiprocessing.managers import SyncManager
if __name__ == "__main__":
    with SyncManager(address=("127.0.0.1", 0), authkey=b"key") as manager:
        assert type(manager).__module__ == "coheld.managers"
        print(manager.address[1], flush=True)
        sys.stdin.read()
"""

STOCK_CLIENT = """
import multiprocessing, sys
from multiprocessing.managers import SyncManager
multiprocessing.current_process().authkey = b"key"
manager = SyncManager(address=("127.0.0.1", int(sys.argv[1])), authkey=b"key")
manager.connect()
outer = manager.list()
outer.append(manager.dict(a=1))
inner = outer[0]
inner["b"] = 2
assert type(inner).__module__ == "multiprocessing.managers"
print(sorted(inner.items()))
"""


def test_an_installed_manager_names_things_as_stock_does():
    server = subprocess.Popen(
        [sys.executable, "-c", INSTALLED_SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        try:
            port = server.stdout.readline().strip()
            # Without any site-packages: whatever it gets must be of the standard library.
            client = [sys.executable, "-S", "-c", STOCK_CLIENT, port]
            told = subprocess.run(client, capture_output=True, text=True, timeout=30)
        finally:
            server.stdin.close()
            server.wait(20)
    assert told.stdout == "[('a', 1), ('b', 2)]\n", told.stderr


# ---- MD5 ----------------------------------------------------------------------------------------


def receive(stream):
    """A message."""
    (length,) = struct.unpack("!i", stream.recv(4, socket.MSG_WAITALL))
    return stream.recv(length, socket.MSG_WAITALL)


def send(stream, message):
    stream.sendall(struct.pack("!i", len(message)) + message)


def test_md5_can_be_refused(monkeypatch):
    monkeypatch.setenv("COHELD_MD5", "refuse")
    with remote_types.Server() as server:
        # Coheld can do better.
        assert connect(server.address).list([1])[:] == [1]
        with socket.create_connection(server.address) as stock:
            challenge = receive(stock)
            assert challenge.startswith(b"#CHALLENGE#")
            # As Python up to 3.11 answers, with the right key.
            send(stock, hmac.new(KEY, challenge[11:], "md5").digest())
            assert receive(stock) == b"#FAILURE#"
    # And as a client, of a manager that challenges as Python up to 3.11 does.
    with socket.create_server(("127.0.0.1", 0)) as old:

        def answer():
            accepted, _ = old.accept()
            with accepted:
                send(accepted, b"#CHALLENGE#" + os.urandom(20))
                accepted.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(multiprocessing.AuthenticationError, match="MD5"):
            connect(old.getsockname())
        thread.join()
