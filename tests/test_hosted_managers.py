"""Pools, blocks of shared memory, servers: what managers have beside objects of any class."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
from multiprocessing import shared_memory
from multiprocessing.connection import Client
from multiprocessing.managers import dispatch

import hosted_types
import marks
import pytest
import subject
from subject import managers

FORK = multiprocessing.get_context("fork")


# Pools of the manager process.


@pytest.fixture
def pool(manager_of_context):
    return manager_of_context.Pool(2)


@pytest.mark.timeout(120)
def test_pool(pool, manager_of_context, context, processes):
    assert isinstance(pool, managers.PoolProxy)
    assert pool.apply(hosted_types.add, (1, 2)) == 3
    assert pool.map(hosted_types.square, range(10)) == [x * x for x in range(10)]
    assert pool.starmap(hosted_types.add, [(1, 2), (3, 4)]) == [3, 7]
    assert processes.run(context, hosted_types.sleep_for, 0) not in (os.getpid(), None)
    pids = set(pool.map(hosted_types.sleep_for, [0.05] * 8))
    assert len(pids) == 2 and manager_of_context._process.pid not in pids


@pytest.mark.timeout(120)
def test_asynchronous_results(pool):
    result = pool.apply_async(hosted_types.add, (1,), {"y": 2})
    assert type(result).__name__ == "AutoProxy[AsyncResult]"
    assert result.get() == 3 and result.ready() and result.successful()
    slow = pool.map_async(hosted_types.sleep_for, [0.3])
    assert slow.ready() is False
    with pytest.raises(multiprocessing.TimeoutError):
        slow.get(timeout=0.01)
    assert slow.wait() is None and slow.ready()
    assert pool.starmap_async(hosted_types.add, [(1, 1)]).get(30) == [2]
    failing = pool.apply_async(hosted_types.fail_in_pool, (5,))
    with pytest.raises(ArithmeticError) as caught:
        failing.get()
    assert caught.value.args == ("in the pool", 5)
    assert failing.successful() is False


@pytest.mark.timeout(120)
def test_iterators_of_pools(pool):
    results = pool.imap(hosted_types.square, range(5))
    assert isinstance(results, managers.IteratorProxy)
    assert next(results) == 0 and list(results) == [1, 4, 9, 16]
    with pytest.raises(StopIteration):
        next(results)
    assert sorted(pool.imap_unordered(hosted_types.square, range(5))) == [0, 1, 4, 9, 16]


@marks.coheld_only
@pytest.mark.timeout(120)
def test_pool_in_other_processes(pool, context, processes):
    """Stock: 'NoneType' object has no attribute '_registry'."""
    assert processes.run(context, hosted_types.use_pool, pool) == ([0, 1, 4, 9, 16], 3)


@pytest.mark.timeout(120)
def test_end_of_pools(manager):
    with manager.Pool(1) as pool:
        assert pool.apply(hosted_types.square, (3,)) == 9
        (pid,) = pool.map(hosted_types.sleep_for, [0])
    assert subject.wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    with pytest.raises(ValueError, match="Pool not running"):
        pool.apply(hosted_types.square, (3,))
    closed = manager.Pool(1)
    closed.close()
    assert closed.join() is None
    with pytest.raises(managers.RemoteError, match="ValueError: Number of processes must be"):
        manager.Pool(0)


@pytest.mark.timeout(120)
def test_pools_end_with_the_manager(context):
    with managers.SyncManager(ctx=context) as manager:
        pids = set(manager.Pool(2).map(hosted_types.sleep_for, [0.05] * 4))
    assert subject.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))
    assert manager._process.exitcode in (0, -signal.SIGTERM)


# Blocks of shared memory.


def exists(name) -> bool:
    return os.path.exists(f"/dev/shm/{name}")


@pytest.mark.filterwarnings("ignore")
def test_shared_memory_manager(context, processes):
    with managers.SharedMemoryManager(ctx=context) as manager:
        block = manager.SharedMemory(size=128)
        assert isinstance(block, shared_memory.SharedMemory) and block.size >= 128
        block.buf[:4] = b"text"
        other = shared_memory.SharedMemory(block.name)
        assert bytes(other.buf[:4]) == b"text"
        other.close()
        shareable = manager.ShareableList([1, "two", b"three", None])
        assert isinstance(shareable, shared_memory.ShareableList)
        assert list(shareable) == [1, "two", b"three", None]
        names = [block.name, shareable.shm.name]
        assert all(exists(name) for name in names)
        block.close()
        shareable.shm.close()
    assert not any(exists(name) for name in names)


def test_shared_memory_manager_has_no_other_types():
    for name in ("list", "dict", "Queue", "Lock"):
        assert not hasattr(managers.SharedMemoryManager, name)
    manager = managers.SharedMemoryManager()
    assert manager._Server is managers.SharedMemoryServer
    assert issubclass(managers.SharedMemoryServer, managers.Server)
    assert {"track_segment", "release_segment", "list_segments"} <= set(
        managers.SharedMemoryServer.public
    )


def test_states_of_a_shared_memory_manager():
    with pytest.raises(ValueError):
        managers.SharedMemoryManager().SharedMemory(9)
    with managers.SharedMemoryManager(ctx=FORK) as manager:
        with pytest.raises(multiprocessing.ProcessError, match="Already started Shared"):
            manager.get_server()
    with pytest.raises(multiprocessing.ProcessError, match="SharedMemoryManager has shut down"):
        manager.get_server()


class Tracking:
    """A class that is told of the blocks of its manager."""

    def __init__(self, size, shared_memory_context):
        block = shared_memory.SharedMemory(create=True, size=size)
        shared_memory_context.register_segment(block.name)
        self.block_name = block.name
        block.close()

    def name(self):
        return self.block_name


class TrackingProxy(managers.BaseProxy):
    _exposed_ = ("name",)
    _shared_memory_proxy = True

    def name(self):
        return self._callmethod("name")


@pytest.mark.filterwarnings("ignore")
def test_classes_that_track_blocks():
    class Own(managers.SharedMemoryManager):
        pass

    Own.register("Tracking", Tracking, TrackingProxy)
    with Own(ctx=FORK) as manager:
        name = manager.Tracking(64).name()
        assert exists(name)
    assert not exists(name)


# Servers.


@pytest.fixture
def served():
    """A server in a thread of this process, and what it serves."""
    if subject.IS_STOCK and sys.version_info < (3, 10):
        pytest.skip("the threads of such a stock server end by exceptions that nobody catches")
    jobs: queue.Queue = queue.Queue()

    class Serving(managers.BaseManager):
        pass

    Serving.register("jobs", callable=lambda: jobs)
    server = Serving(authkey=b"key").get_server()
    with subject.serving_in_a_thread(server):
        yield server, jobs


class JobsClient(managers.BaseManager):
    pass


JobsClient.register("jobs")


def put_jobs(address, key, jobs):
    multiprocessing.current_process().authkey = key
    client = JobsClient(address, key)
    client.connect()
    shared = client.jobs()
    for job in jobs:
        shared.put(job)
    return shared.qsize()


def test_server_in_a_thread(served, context, processes):
    server, jobs = served
    assert server.address == server.listener.address
    assert multiprocessing.current_process()._manager_server is server
    assert processes.run(context, put_jobs, server.address, b"key", ["a", "b"]) == 2
    assert [jobs.get(), jobs.get()] == ["a", "b"]
    client = JobsClient(server.address, b"key")
    client.connect()
    shared = client.jobs()
    assert type(shared).__name__ == "AutoProxy[jobs]"
    with pytest.raises(queue.Empty):
        shared.get_nowait()
    begin = time.monotonic()
    with pytest.raises(queue.Empty):
        shared.get(timeout=0.2)
    assert time.monotonic() - begin >= 0.19
    jobs.put("c")
    assert shared.get() == "c"


def test_server_has_the_names_of_stock(served):
    server, _ = served
    assert isinstance(server, managers.Server)
    assert set(server.fallback_mapping) == {"__str__", "__repr__", "#GETVALUE"}
    assert {"create", "shutdown", "get_methods", "incref", "decref", "dummy"} <= set(server.public)
    client = JobsClient(server.address, b"key")
    client.connect()
    shared = client.jobs()
    object, exposed, _ = server.id_to_obj[shared._id]
    assert isinstance(object, queue.Queue) and "put" in exposed


def test_listener_gives_its_address_back(tmp_path):
    address = str(tmp_path / "socket")
    server = managers.SyncManager(address).get_server()
    assert server.address == server.listener.address == address
    with pytest.raises((OSError, EOFError)):
        managers.SyncManager(address, ctx=FORK).start()
    server.listener.close()
    with managers.SyncManager(address, ctx=FORK) as manager:
        assert manager.list([1])[:] == [1]


@marks.coheld_only
def test_who_is_cut_off_by_a_shutdown_finds_no_server_any_more():
    """... though the thread that serves takes its time to notice the end."""
    server = managers.BaseManager(authkey=b"key").get_server()
    wait = server.stop_event.wait
    may_notice = threading.Event()
    server.stop_event.wait = lambda: wait() and may_notice.wait(30)
    with subject.serving_in_a_thread(server):
        try:
            kept, asking = (Client(server.address, authkey=b"key") for _ in range(2))
            with kept, asking:
                dispatch(kept, None, "accept_connection", ("kept",))
                dispatch(asking, None, "shutdown")
                with pytest.raises((EOFError, OSError)):
                    while True:
                        kept.send((None, "unknown", (), {}))
                        kept.recv()
                with pytest.raises(OSError):
                    Client(server.address, authkey=b"key")
        finally:
            may_notice.set()


def test_key_of_a_server_must_be_bytes():
    with pytest.raises(TypeError, match="Authkey 'text' is type <class 'str'>, not bytes"):
        managers.Server({}, None, "text", "pickle")


def test_get_server_of_a_started_manager(manager):
    with pytest.raises(multiprocessing.ProcessError, match="Already started server"):
        manager.get_server()


class OwnServer(managers.Server):
    """A server with a function of its own."""

    public = [*managers.Server.public, "double"]

    def __init__(self, registry, address, authkey, serializer):
        super().__init__(registry, address, authkey, serializer)
        self.factor = 2

    def double(self, c, number):
        return number * self.factor

    def create(self, c, typeid, /, *args, **kwds):
        self.factor += 1
        return super().create(c, typeid, *args, **kwds)


@marks.coheld_only
def test_server_class_of_ones_own():
    class Own(hosted_types.Managers):
        _Server = OwnServer

    with Own(ctx=FORK) as manager:
        assert manager._call("double", (4,)) == 8
        manager.Maths()
        assert manager._call("double", (4,)) == 12
        with pytest.raises(managers.RemoteError, match="AssertionError: '_close' unrecognized"):
            manager._call("_close")


# Names.


def test_names():
    import multiprocessing.managers as stock

    for name in ("RemoteError", "State", "ProcessLocalSet", "get_spawning_popen", "dispatch"):
        assert getattr(managers, name) is getattr(stock, name)
    assert managers.listener_client is stock.listener_client
    assert set(managers.__all__) == set(stock.__all__)
    assert managers.all_methods(hosted_types.Foo()) and managers.public_methods([])
    assert isinstance(managers.convert_to_error("#TRACEBACK", "text"), managers.RemoteError)
    for name in managers.__all__:
        assert getattr(managers, name).__module__ == managers.__name__
    assert pickle.loads(pickle.dumps(managers.AutoProxy)) is managers.AutoProxy


def test_proxy_types_of_stock():
    """Each of them stands for ours of the same name when it is registered."""
    import multiprocessing.managers as stock

    class Own(managers.SyncManager):
        pass

    found = 0
    for name, thing in vars(stock).items():
        is_type = isinstance(thing, type) and issubclass(thing, stock.BaseProxy)
        if (is_type or thing is stock.AutoProxy) and not name.startswith("_"):
            Own.register(name, hosted_types.Foo, thing)
            assert Own._registry[name][-1] is getattr(managers, name), name
            found += 1
    assert found >= 15


# Time-outs of calls.


@marks.coheld_only
def test_time_outs_of_calls():
    import coheld

    with hosted_types.Managers(ctx=FORK, call_timeout=0.3) as manager:
        lock, maths = manager.get_lock(), manager.Maths()
        assert lock.acquire()
        with pytest.raises(TimeoutError) as caught:
            lock.acquire()
        assert isinstance(caught.value, coheld.CallTimeout)
        assert maths.add(1, 1) == 2
        with coheld.call_timeout(0.05), pytest.raises(coheld.CallTimeout):
            lock._callmethod("acquire")
        with coheld.call_timeout(30):
            assert maths.add(1, 1) == 2
            assert lock._callmethod("acquire", (True, 0.6)) is False
        with pytest.raises(coheld.CallTimeout):
            lock._callmethod("acquire", timeout=0.05)
    for nonsense in (0, -1, float("nan"), "text"):
        with pytest.raises((ValueError, TypeError)):
            managers.SyncManager(call_timeout=nonsense)
