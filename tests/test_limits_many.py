"""Many members, many objects, and a group of processes that may use little memory."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import warnings

import marks
import pytest
import subject
from test_tools import doctor

if not subject.IS_STOCK:
    from coheld.errors import CoheldError

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")
SPAWN = multiprocessing.get_context("spawn")
MEGABYTE = 1 << 20
MEMBERS = 1024


def sound(manager):
    """Whether the memory of a manager is without damage and leaks."""
    status, report = doctor(manager, "--address", f"unix:{manager.address}")
    return status == 0 or report


# ---- Members ------------------------------------------------------------------------------------


def connect(address, authkey):
    multiprocessing.current_process().authkey = authkey
    manager = subject.managers.SyncManager(address, authkey)
    manager.connect()
    return len(manager.list([1]))


def take_part(shared, number, end):
    """A member that lives until the pipe ends."""
    shared.append(number)
    os.read(end, 1)


def refused(shared):
    try:
        shared.append(-1)
    except CoheldError as error:
        return f"all {MEMBERS} member slots" in str(error)
    return False


@pytest.mark.timeout(300)
def test_the_member_after_the_last_one_is_refused_and_no_other(manager, processes):
    shared = manager.list()
    end, our_end = os.pipe()
    # The manager process and this one are there.
    pids = []
    for number in range(MEMBERS - 2):
        pids.append(processes.fork(take_part, shared, number, end))
    assert subject.wait_until(lambda: len(shared) == MEMBERS - 2, 120)
    assert sorted(shared) == list(range(MEMBERS - 2))
    assert manager._statistics()["members"] == MEMBERS
    # A child of a member, and a process of its own.
    assert processes.join_fork(processes.fork(refused, shared)) == 0
    where = manager.address, bytes(manager._authkey)
    with pytest.raises(CoheldError, match=f"all {MEMBERS} member slots"):
        processes.run(SPAWN, connect, *where)
    # The others go on; this one, too.
    shared[:] = []
    with manager.Lock():
        shared.append("there")
    assert len(manager.list(shared)) == 1
    # One leaves, one comes.
    os.kill(pids[500], signal.SIGKILL)
    assert processes.join_fork(pids[500]) == -signal.SIGKILL
    assert processes.run(SPAWN, connect, *where) == 1
    assert processes.join_fork(processes.fork(lambda: shared.append("new") is None)) == 0
    for pid in list(processes.forked):
        os.kill(pid, signal.SIGKILL)
        processes.join_fork(pid)
    os.close(end)
    os.close(our_end)
    assert subject.wait_until(lambda: manager._statistics()["members"] == 2, 60)
    assert list(shared) == ["there", "new"]
    assert sound(manager) is True


# ---- Objects ------------------------------------------------------------------------------------


def size(manager):
    """What takes memory: objects, blocks, bytes."""
    gc.collect()
    statistics = manager._statistics()
    return {name: statistics[name] for name in ("referents", "blocks", "bytes")}


def touch(outer, numbers):
    for number in numbers:
        outer[number].append(os.getpid())
    return sum(len(outer[number]) for number in numbers)


@pytest.mark.timeout(300)
def test_a_hundred_thousand_lists_come_and_go(manager, processes):
    count = 100_000
    outer = manager.list()
    before = size(manager)
    lists = [manager.list((number, "text of ten")) for number in range(count)]
    assert size(manager)["referents"] == before["referents"] + count
    for number in range(0, count, 97):
        lists[number].append(number)
    assert all(len(lists[number]) == 2 + (number % 97 == 0) for number in range(0, count, 13))
    outer.extend(lists)
    # Held by the list alone now.
    del lists
    assert size(manager)["referents"] == before["referents"] + count
    numbers = range(1, count, 1000)
    expected = sum(3 + (number % 97 == 0) for number in numbers)
    assert processes.run(FORK, touch, outer, numbers, seconds=60) == expected
    assert outer[1][2] != os.getpid()
    assert sound(manager) is True
    del outer[:]
    assert subject.wait_until(lambda: size(manager) == before, 60), (size(manager), before)
    assert sound(manager) is True


# ---- A memory cgroup ----------------------------------------------------------------------------


def memory_group(most):
    """A new cgroup that may use so many bytes, or why there is none."""
    with open("/proc/self/cgroup") as groups:
        lines = [line.rstrip("\n").split(":", 2) for line in groups]
    for _number, controllers, path in lines:
        if controllers == "memory":
            parent, limit = f"/sys/fs/cgroup/memory{path}", "memory.limit_in_bytes"
        elif controllers == "":
            parent, limit = f"/sys/fs/cgroup{path}", "memory.max"
        else:
            continue
        folder = os.path.join(parent, f"coheld-test-{os.getpid()}")
        try:
            os.mkdir(folder)
        except OSError as error:
            reason = str(error)
            continue
        try:
            with open(os.path.join(folder, limit), "w") as file:
                file.write(str(most))
            with contextlib.suppress(OSError), open(f"{folder}/memory.swap.max", "w") as file:
                file.write("0")
            return folder, ""
        except OSError as error:
            os.rmdir(folder)
            reason = str(error)
    return None, f"no memory cgroup can be made here: {reason}"


@pytest.fixture
def small_group():
    folder, reason = memory_group(64 * MEGABYTE)
    if folder is None:
        pytest.skip(reason)
    yield folder

    def is_left() -> bool:
        with open(f"{folder}/cgroup.procs") as file:
            return file.read() == ""

    # What ended in it may be on its way out.
    assert subject.wait_until(is_left)
    os.rmdir(folder)


def fill_from_group(group, lock, shared, other):
    """Fill the memory until that is refused, or the kernel ends this process."""
    with open(f"{group}/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))
    lock.acquire()
    for number in range(4096):
        try:
            shared.append(bytes([number % 256]) * MEGABYTE)
            other[number % 64] = bytes([number % 256]) * 10_000
        except MemoryError:
            return True
    return False


def work_beside(shared, go_on):
    count = 0
    while not go_on.is_set():
        shared.append(bytes(1000))
        count += 1
        if count % 100 == 0:
            del shared[:50]
    return count, len(shared)


def test_who_may_use_little_memory_harms_nobody_else(manager, processes, small_group):
    """The memory of shared objects counts for the group of the process that takes it. The kernel
    ends a process of the group, at any instruction, or refuses more memory."""
    lock, shared, other = manager.Lock(), manager.list(), manager.dict()
    theirs, go_on, ours = manager.list(), manager.Event(), manager.list(["here before"])
    before = manager._statistics()["members"]
    beside = processes.start(FORK, work_beside, theirs, go_on)
    filler = processes.fork(fill_from_group, small_group, lock, shared, other)
    status = processes.join_fork(filler)
    assert status in (0, -signal.SIGKILL)
    go_on.set()
    count, length = beside.result(60)
    assert length == count - 50 * (count // 100) > 0
    # All that was there before its last operation is there, and nothing in parts.
    assert 8 < len(shared) < 128
    for number in range(len(shared)):
        assert shared[number] == bytes([number]) * MEGABYTE
    for number, value in other.items():
        assert len(value) == 10_000 and value[0] % 64 == number
    assert list(ours) == ["here before"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert lock.acquire(timeout=30)
    shared.append("after")
    shared.sort(key=len)
    assert subject.wait_until(lambda: manager._statistics()["members"] == before)
    assert sound(manager) is True
    del shared, other
    assert sound(manager) is True
