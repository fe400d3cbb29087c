"""Lifetimes: what is dropped goes, whoever held it and however the holder ended."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from multiprocessing.reduction import ForkingPickler

import marks
import pytest
import subject

FORK = multiprocessing.get_context("fork")
SPAWN = multiprocessing.get_context("spawn")


def hold_until_told(shared, connection):
    """Use the proxies until the parent says so, then end in the way that it asks for."""
    connection.send(str(shared))
    order = connection.recv()
    if order == "use":
        connection.send(shared[0])
        order = connection.recv()
    if order == "exit":
        os._exit(0)
    return order


def drop_and_use(first, second, rounds):
    """Drop proxies here that the parent goes on using."""
    for _ in range(rounds):
        copies = [first[0], second["a"]]
        del copies
    del first
    return second["a"][0]


def append_many(shared, number):
    for index in range(number):
        shared.append(index)
    return len(shared) > 0


def test_everything_goes(manager_of_context, context, processes):
    manager = manager_of_context
    proxies = [manager.list(), manager.dict(), manager.Value("i", 1), manager.Array("i", [1])]
    proxies.append(manager.Namespace())
    processes.run(context, len, proxies)
    assert manager._number_of_objects() == 5
    proxies.clear()
    processes.close()
    assert subject.objects_left(manager) == 0


@marks.coheld_only
def test_nested_referents_go_with_their_container(manager):
    """Stock never releases what was nested (cpython issue 103136)."""
    outer = manager.list()
    for number in range(50):
        outer.append(manager.dict({number: manager.list([number])}))
    assert manager._number_of_objects() == 101
    del outer[10:]
    assert subject.objects_left(manager, 21) == 21
    outer.pop()
    assert subject.objects_left(manager, 19) == 19
    outer[0] = None
    assert subject.objects_left(manager, 17) == 17
    del outer
    assert subject.objects_left(manager) == 0


@marks.coheld_only
@pytest.mark.parametrize("make", ["dict", "set", "Namespace", "Value"])
def test_every_container_releases_what_is_overwritten(manager, make):
    inner = manager.list(["inner"])
    if make == "dict":
        outer = manager.dict(key=inner)
        outer["key"] = None
    elif make == "set":
        outer = manager.dict(key=[inner, (inner,)])
        outer.pop("key")
    elif make == "Namespace":
        outer = manager.Namespace(key={"deep": inner})
        del outer.key
    else:
        outer = manager.Value("i", inner)
        outer.value = 0
    assert manager._number_of_objects() == 2
    del inner
    assert subject.objects_left(manager, 1) == 1


def test_proxy_outlives_its_place_in_the_container(manager):
    outer = manager.list([manager.list(["inner"])])
    inner = outer[0]
    del outer[:]
    gc.collect()
    assert inner[:] == ["inner"]


def test_dropped_in_one_process_used_in_another(manager_of_context, context, processes):
    manager = manager_of_context
    first, second = manager.list([manager.list([1])]), manager.dict(a=manager.list(["kept"]))
    assert processes.run(context, drop_and_use, first, second, 20) == "kept"
    assert first[0][:] == [1] and second["a"][:] == ["kept"]


@marks.coheld_only
def test_child_alone_holds_it(manager_of_context, context, processes):
    """The parent drops its proxy; the child's keeps the list until the child is gone."""
    manager = manager_of_context
    ours, theirs = context.Pipe()
    child = processes.start(context, hold_until_told, shared := manager.list(["held"]), theirs)
    assert ours.recv() == "['held']"
    del shared
    gc.collect()
    assert subject.objects_left(manager, 1) == 1
    ours.send("use")
    assert ours.recv() == "held"
    ours.send("end")
    assert child.result() == "end"
    assert subject.objects_left(manager) == 0


@marks.coheld_only
@pytest.mark.parametrize("end", ["exit", "kill"])
def test_references_of_the_dead_are_released(manager_of_context, context, processes, end):
    """Stock: a killed client's references stay for ever."""
    manager = manager_of_context
    ours, theirs = context.Pipe()
    child = processes.start(context, hold_until_told, shared := manager.list(["held"]), theirs)
    assert ours.recv() == "['held']"
    del shared
    if end == "kill":
        child.kill()
    else:
        ours.send("exit")
        child.process.join()
    assert subject.objects_left(manager) == 0


@marks.coheld_only
def test_raw_fork(manager, processes):
    """Stock shares the socket between both processes and mixes up their answers."""
    shared, table = manager.list([1]), manager.dict(a=1)
    children = [processes.fork(append_many, shared, 100) for _ in range(4)]
    assert append_many(shared, 100)
    for child in children:
        assert processes.join_fork(child) == 0
    assert len(shared) == 501 and shared.count(99) == 5
    assert table["a"] == 1
    del shared, table
    assert subject.objects_left(manager) == 0


@marks.coheld_only
def test_fork_in_a_fork(manager, processes):
    shared = manager.list()

    def generation(left):
        shared.append(left)
        if left == 0:
            return True
        pid = os.fork()
        if pid == 0:
            os._exit(0 if generation(left - 1) else 1)
        return os.waitpid(pid, 0)[1] == 0

    assert processes.join_fork(processes.fork(generation, 4)) == 0
    assert shared[:] == [4, 3, 2, 1, 0]


@marks.coheld_only
def test_daemon_that_closed_all_its_descriptors(manager, processes):
    """Daemons close everything; such a member is alive, and its references count."""
    inner = manager.list(["still here"])
    ours, theirs = FORK.Pipe()

    def daemon(shared):
        keep = theirs.fileno()
        os.closerange(3, keep)
        os.closerange(keep + 1, 4096)
        theirs.send("closed")
        theirs.recv()
        shared.append("after closing")
        theirs.send(shared[:])
        return theirs.recv() == "end"

    pid = processes.fork(daemon, inner)
    assert ours.recv() == "closed"
    del inner
    gc.collect()
    # Time enough for the manager to take it for dead, if it were to.
    time.sleep(1.5)
    assert manager._number_of_objects() == 1
    ours.send("go on")
    assert ours.recv() == ["still here", "after closing"]
    ours.send("end")
    assert processes.join_fork(pid) == 0
    assert subject.objects_left(manager) == 0


@marks.coheld_only
def test_a_killed_manager_leaves_native_referents_working(manager_of_context, context, processes):
    manager = manager_of_context
    shared, table = manager.list([1]), manager.dict(a=manager.list(["inner"]))
    os.kill(manager._process.pid, signal.SIGKILL)
    manager._process.join()
    for number in range(1000):
        shared.append(number)
    table["b"] = "x" * 100_000
    assert len(shared) == 1001 and table["a"][:] == ["inner"] and len(table["b"]) == 100_000
    assert str(table).startswith("{'a': <ListProxy object, typeid 'list' at 0x")
    with pytest.raises((ConnectionError, EOFError, FileNotFoundError)):
        manager._number_of_objects()
    # A child that was forked has the memory already; it needs no manager either.
    assert processes.join_fork(processes.fork(append_many, shared, 10)) == 0
    assert len(shared) == 1011


class Closer:
    """Lives in the manager process and does there what daemons do to descriptors."""

    def close_memory(self) -> int:
        closed = 0
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if "memfd:coheld" in os.readlink(f"/proc/self/fd/{name}"):
                    os.close(int(name))
                    closed += 1
        return closed


class ClosingManager(subject.managers.SyncManager):
    pass


ClosingManager.register("Closer", Closer)


def append_and_count_warnings(shared_and_number):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        shared, number = pickle.loads(shared_and_number)
        shared.append(number)
    return [warning.category for warning in caught], shared[:]


@marks.coheld_only
def test_a_manager_without_the_descriptor_of_its_memory(processes):
    """Nobody can be handed the memory any more; newcomers use connections, and are told so."""
    # Spawned: one that is forked also inherits the memory of this process's other managers.
    with ClosingManager(ctx=SPAWN) as manager:
        shared = manager.list([1])
        assert manager.Closer().close_memory() == 1
        shared.append(2)
        # A pickle, so that it is read where warnings are counted.
        pickled = ForkingPickler.dumps((shared, 3)).tobytes()
        found = processes.run(SPAWN, append_and_count_warnings, pickled)
        assert found == ([RuntimeWarning], [1, 2, 3])
        assert shared[:] == [1, 2, 3]


def memory_of(pid: int) -> set:
    """The device and number of the files of Coheld's memory that a process has mapped."""
    found = set()
    with contextlib.suppress(OSError), open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            fields = line.split(None, 5)
            if len(fields) == 6 and "coheld" in fields[5] and "memfd" in fields[5]:
                found.add((fields[3], fields[4]))
    return found


def descriptors_of(pid: int) -> set:
    """The numbers of the files of Coheld's memory that a process has open."""
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{name}"
            with contextlib.suppress(OSError):
                if "memfd:coheld" in os.readlink(path):
                    found.add(str(os.stat(path).st_ino))
    return found


MANAGER_AND_FRIENDS = """
import multiprocessing, os, sys, time, coheld

def wait(shared):
    shared.append(os.getpid())
    time.sleep(1000)

fork = multiprocessing.get_context("fork")
manager = coheld.Manager()
shared = manager.list(["x" * 1_000_000])
children = [fork.Process(target=wait, args=(shared,)) for _ in range(2)]
for child in children:
    child.start()
while len(shared) < 3:
    time.sleep(0.01)
print(manager._process.pid, *shared[1:], flush=True)
time.sleep(1000)
"""


@marks.coheld_only
def test_memory_goes_with_the_last_member():
    """The file has no name: it is gone when nobody has it mapped or open any more."""
    program = subprocess.Popen(
        [sys.executable, "-c", MANAGER_AND_FRIENDS], stdout=subprocess.PIPE, text=True
    )
    pids = [program.pid]
    try:
        pids += map(int, program.stdout.readline().split())
        assert len(pids) == 4
        # They have the creator's segment in common; what a process maps of others is its affair.
        (memory,) = set.intersection(*map(memory_of, pids))
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        program.stdout.close()
        program.wait()

    def holders():
        everybody = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [
            pid for pid in everybody if memory in memory_of(pid) or memory[1] in descriptors_of(pid)
        ]

    assert subject.wait_until(lambda: not holders()), holders()


@marks.coheld_only
def test_processes_forked_with_many_proxies(manager, processes):
    proxies = [manager.list([number]) for number in range(300)]
    pids = [processes.fork(sum_of, proxies) for _ in range(5)]
    for pid in pids:
        assert processes.join_fork(pid) == 0
    assert manager._number_of_objects() == 300
    proxies.clear()
    assert subject.objects_left(manager) == 0


def sum_of(proxies):
    return sum(proxy[0] for proxy in proxies) == sum(range(300))


@marks.coheld_only
def test_memory_returns_to_its_start(manager):
    def figures():
        statistics = manager._statistics()
        return statistics["referents"], statistics["blocks"]

    before = figures()
    for _ in range(3):
        shared, table = manager.list(), manager.dict()
        for number in range(2000):
            shared.append("x" * number)
            table[f"key {number}"] = [number] * 10
        shared.sort(key=len, reverse=True)
        del shared[::3]
        for number in range(0, 2000, 2):
            del table[f"key {number}"]
        shared.append(table)
        del shared, table
    assert subject.wait_until(lambda: figures() == before), (before, figures())


def test_a_proxy_in_a_circle_of_local_objects(manager):
    """The garbage collector sees through proxies."""
    shared = manager.list()
    shared._note = [shared]
    holder = {"proxy": shared}
    holder["self"] = holder
    del shared, holder
    assert subject.objects_left(manager) == 0


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.timeout(120)
def test_many_managers_one_after_the_other():
    """Programs start a manager for each call of something; none of them may leave anything."""
    counts = []
    for _ in range(60):
        with subject.start_manager() as manager:
            shared = manager.dict(inner=manager.list([1]))
            assert shared["inner"][:] == [1]
        del shared, manager
        gc.collect()
        counts.append(descriptors())
    assert counts[-1] <= counts[5], f"open descriptors after each manager: {counts}"
    assert multiprocessing.active_children() == []


@pytest.mark.timeout(120)
def test_many_managers_at_once():
    managers = [subject.start_manager() for _ in range(25)]
    try:
        shared = [manager.list([number]) for number, manager in enumerate(managers)]
        assert [proxy[0] for proxy in shared] == list(range(25))
        # Proxies of one manager inside the objects of another.
        for one, next_one in zip(shared, shared[1:]):
            one.append(next_one)
        assert shared[0][1][1][1][0] == 3
    finally:
        for manager in managers:
            manager.shutdown()
