"""Proxies in other processes: under every start method, in pools, nested, pickled and forked."""

from __future__ import annotations

import concurrent.futures
import functools
import multiprocessing
import multiprocessing.reduction
import os
import pickle
import subprocess
import sys
import threading

import marks
import pytest
import subject

FORK = multiprocessing.get_context("fork")


# What the children run. Spawned children import these by name.


def change_all(shared_list, shared_dict, value, namespace, array):
    shared_list.append(os.getpid())
    shared_dict["child"] = [1, {"a": 2}]
    value.value += 1
    namespace.seen = "by the child"
    array[1] = 20
    return shared_list[0], dict(shared_dict.items()), value.value, str(namespace), array[:].tolist()


def append_and_return(shared, item):
    shared.append(item)
    return item * 2


def put(shared, key, value):
    shared[key] = value


def read(shared, *keys):
    for key in keys:
        shared = shared[key]
    return shared


def read_text(shared):
    return str(shared)


def call(method, *args):
    return method(*args)


def build_tower(bottom, depth):
    """Put a proxy into a container of the same manager, again and again."""
    tower = bottom
    for _ in range(depth - 1):
        tower = tower[0]
    tower.append("from a child")
    return str(tower)


def iterate(shared):
    return [key for key in shared]


def start_grandchild(shared):
    context = multiprocessing.get_context("fork")
    grandchild = context.Process(target=append_and_return, args=(shared, "grandchild"))
    grandchild.start()
    grandchild.join()
    shared.append("child")
    return grandchild.exitcode


def increments(counts, name, number):
    for _ in range(number):
        counts[name] = counts.get(name, 0) + 1


def threads_of_child(counts, label, threads, number):
    workers = [
        threading.Thread(target=increments, args=(counts, f"{label} {index}", number))
        for index in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


# Arguments.


def test_proxies_as_arguments(manager_of_context, context, processes):
    manager = manager_of_context
    shared = manager.list([0])
    table, value = manager.dict(parent=1), manager.Value("i", 41)
    namespace, array = manager.Namespace(x=1), manager.Array("i", [1, 2, 3])
    child = processes.start(context, change_all, shared, table, value, namespace, array)
    expected = (
        0,
        {"parent": 1, "child": [1, {"a": 2}]},
        42,
        "Namespace(seen='by the child', x=1)",
        [1, 20, 3],
    )
    assert child.result() == expected
    assert shared[:] == [0, child.pid]
    assert table["child"] == [1, {"a": 2}]
    assert (value.value, namespace.seen, array[1]) == (42, "by the child", 20)


@marks.stock_since(3, 14)
def test_set_as_argument(manager_of_context, context, processes):
    shared = manager_of_context.set([1])
    processes.run(context, call, shared.add, 2)
    assert shared.copy() == {1, 2}


def test_proxy_whose_manager_was_dropped(context, processes):
    """`Manager().dict()`: the proxy is all that keeps the manager alive."""
    shared = subject.start_manager(context).dict(a=1)
    process = shared._manager._process
    assert processes.run(context, read, shared, "a") == 1
    processes.run(context, put, shared, "b", 2)
    assert shared.copy() == {"a": 1, "b": 2}
    assert process.is_alive()
    del shared
    processes.close()
    assert subject.wait_until(lambda: not process.is_alive())


@marks.coheld_only
def test_temporary_proxy_as_argument(manager_of_context, context):
    """Stock: the child gets a KeyError, because nobody held the list while it was on its way."""
    child = context.Process(target=append_and_return, args=(manager_of_context.list([1]), 5))
    child.start()
    child.join()
    assert child.exitcode == 0
    del child
    assert subject.objects_left(manager_of_context) == 0


def test_two_managers_in_one_child(manager_of_context, context, processes):
    other = subject.start_manager(context)
    try:
        first, second = manager_of_context.list(["first"]), other.list(["second"])
        assert processes.run(context, call, read_pair, first, second) == ("first", "second")
    finally:
        other.shutdown()


def read_pair(first, second):
    return first[0], second[0]


def test_grandchildren(manager_of_context, context, processes):
    shared = manager_of_context.list()
    assert processes.run(context, start_grandchild, shared) == 0
    assert shared[:] == ["grandchild", "child"]


# Pools.


def test_pool_map(manager_of_context, context):
    shared = manager_of_context.list()
    with context.Pool(2) as pool:
        results = pool.map(functools.partial(append_and_return, shared), range(20))
    assert results == [2 * number for number in range(20)]
    assert sorted(shared) == list(range(20))


def test_pool_with_temporary_manager(context):
    shared = subject.start_manager(context).list()
    with context.Pool(2) as pool:
        pool.starmap(append_and_return, [(shared, number) for number in range(6)])
    assert sorted(shared) == list(range(6))


def test_process_pool_executor(manager_of_context, context):
    shared = manager_of_context.dict()
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        futures = [executor.submit(put, shared, number, str(number)) for number in range(20)]
        for future in futures:
            future.result(timeout=30)
    assert sorted(shared.items()) == [(number, str(number)) for number in range(20)]


def test_queue_between_children(manager_of_context, context, processes):
    """A proxy pickled by one child reaches another one that knows nothing of the manager."""
    queue = context.Queue()
    shared = manager_of_context.list()
    queue.put(shared)
    child = processes.start(context, take_from_queue, queue)
    assert child.result() == "taken"
    assert shared[:] == ["taken"]
    queue.close()
    queue.join_thread()


def take_from_queue(queue):
    shared = queue.get(timeout=20)
    shared.append("taken")
    return shared[0]


def test_pickled_bound_method(manager_of_context, context, processes):
    shared = manager_of_context.list()
    processes.run(context, call, shared.append, "by its method")
    with context.Pool(1) as pool:
        pool.map(shared.append, ["by a pool"])
    assert shared[:] == ["by its method", "by a pool"]
    assert pickle.loads(pickle.dumps(shared.pop))() == "by a pool"


class Catalog:
    """A user's object that carries proxies around, as programs of a certain size have them."""

    def __init__(self, **proxies):
        self.proxies = proxies

    def note(self, text):
        self.proxies["notes"].append(text)
        self.proxies["counts"][text] = len(self.proxies["notes"])
        return self


def test_proxies_inside_of_other_objects(manager_of_context, context, processes):
    catalog = Catalog(notes=manager_of_context.list(), counts=manager_of_context.dict())
    returned = processes.run(context, Catalog.note, catalog, "by a child")
    returned.note("by what came back")
    assert catalog.proxies["notes"][:] == ["by a child", "by what came back"]
    assert catalog.proxies["counts"].copy() == {"by a child": 1, "by what came back": 2}


def test_pickled_by_the_pickler_of_multiprocessing(manager):
    shared = manager.list([1])
    data = multiprocessing.reduction.ForkingPickler.dumps({"deep": [shared, (shared, 5)]})
    copy = multiprocessing.reduction.ForkingPickler.loads(data)
    copy["deep"][1][0].append(2)
    assert shared[:] == [1, 2]


# Nesting.


def test_nested_to_depth_five(manager_of_context, context, processes):
    manager = manager_of_context
    tower = bottom = manager.list(["bottom"])
    for level in range(4):
        tower = manager.dict(inner=tower) if level % 2 else manager.list([tower])
    path = ("inner", 0, "inner", 0)
    assert processes.run(context, read_text, tower).startswith("{'inner': <ListProxy object")
    assert processes.run(context, read, tower, *path, 0) == "bottom"
    processes.run(context, call, read(tower, *path).append, "top")
    assert bottom[:] == ["bottom", "top"]
    assert read(tower, *path)._id == bottom._id


def test_nested_by_a_child(manager_of_context, context, processes):
    manager = manager_of_context
    outer, inner = manager.dict(), manager.list([1])
    processes.run(context, put, outer, "inner", inner)
    inner.append(2)
    assert outer["inner"][:] == [1, 2]
    processes.run(context, put, outer, "plain", {"in a dict": (inner, [inner])})
    inner.append(3)
    assert outer["plain"]["in a dict"][1][0][:] == [1, 2, 3]


def test_nested_referent_lives_by_its_container(manager_of_context, context, processes):
    outer = manager_of_context.list([manager_of_context.list(["inner"])])
    assert processes.run(context, read, outer, 0, 0) == "inner"
    outer[0].append("more")
    assert outer[0][:] == ["inner", "more"]


@marks.coheld_only
def test_iterating_a_dict_in_a_child(manager_of_context, context, processes):
    """Stock: 'NoneType' object has no attribute '_registry'."""
    shared = manager_of_context.dict(a=1, b=2)
    assert processes.run(context, iterate, shared) == ["a", "b"]


@marks.coheld_only
def test_key_of_ones_own_travels_with_the_proxies(context, processes):
    """Stock: AuthenticationError for every proxy that was nested or pickled."""
    manager = subject.managers.SyncManager(authkey=b"not the key of the process", ctx=context)
    with manager:
        outer = manager.dict(inner=manager.list([1]))
        assert processes.run(context, read, outer, "inner", 0) == 1
        assert pickle.loads(pickle.dumps(outer))["inner"][:] == [1]


# Threads.


def test_threads_in_several_processes(manager_of_context, context, processes):
    counts = manager_of_context.dict()
    children = [processes.start(context, threads_of_child, counts, label, 4, 50) for label in "abc"]
    threads_of_child(counts, "parent", 4, 50)
    for child in children:
        child.result()
    assert len(counts) == 16
    assert set(counts.values()) == {50}


@marks.coheld_only
def test_forking_while_threads_work(manager, processes):
    """A lock that a thread held when its process forked must not stay locked in the child."""
    shared, stop = manager.list([0] * 10), threading.Event()

    def hammer():
        while not stop.is_set():
            # Only at the front: what the children append must not be popped here.
            shared.insert(0, 0)
            shared.pop(0)

    workers = [threading.Thread(target=hammer) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(30):
            assert processes.join_fork(processes.fork(fork_and_append, shared)) == 0
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert shared.count(None) == 30


def fork_and_append(shared):
    shared.append(None)
    return shared[0] == 0


# Start-up cost, as a figure: nobody can promise it on a busy machine.


@marks.coheld_only
def test_import_time_is_printed(capsys):
    best = min(import_microseconds() for _ in range(3))
    with capsys.disabled():
        print(f"\n`import coheld` takes {best / 1000:.1f} ms (aim: below 50 ms)")


def import_microseconds() -> int:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import coheld"],
        capture_output=True,
        text=True,
        check=True,
    )
    for line in done.stderr.splitlines():
        parts = line.split("|")
        if parts[-1].strip() == "coheld":
            return int(parts[1])
    pytest.fail(f"no line for coheld in:\n{done.stderr}")
