"""Systems that forbid memory files, as sandboxes do by seccomp filters: the next best thing is
taken, with one warning that says what is missing and what it costs."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import warnings

import confinement
import marks
import pytest
import subject
from test_tools import doctor

pytestmark = [
    marks.coheld_only,
    pytest.mark.skipif(
        (why := confinement.why_no_filters()) != "",
        reason=f"no filters of system calls here: {why}",
    ),
]

FORK = multiprocessing.get_context("fork")
SPAWN = multiprocessing.get_context("spawn")


def warned(function):
    """What a function returns, and the texts of the warnings meanwhile, each time."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function()
    assert {warning.category for warning in caught} <= {RuntimeWarning}
    return result, [str(warning.message) for warning in caught]


def work(shared, mapping, queue, lock):
    """What any process does with objects that it was handed."""
    with lock:
        shared.append(os.getpid())
        mapping["by"] = mapping.get("by", 0) + 1
    queue.put(os.getpid())
    return os.getpid()


def texts_of_work(*objects):
    """As `work`, in a process that counts its warnings."""
    return warned(lambda: work(*objects))[1]


def use(manager, contexts, processes):
    """Use all kinds of objects here and in others' processes; how many warnings those had."""
    objects = manager.list(), manager.dict(), manager.Queue(), manager.Lock()
    shared, mapping, queue, _lock = objects
    work(*objects)
    texts = [processes.run(context, texts_of_work, *objects) for context in contexts]
    assert mapping["by"] == len(shared) == 1 + len(contexts)
    assert [queue.get() for _ in shared] == list(shared)
    # Objects that stay in the manager process, and objects in objects.
    shared[:] = [manager.dict(a=1), manager.list([2])]
    assert (shared[0]["a"], shared[1][0]) == (1, 2)
    with manager.Pool(1) as pool:
        assert pool.apply(abs, (-3,)) == 3
    event = manager.Event()
    event.set()
    assert event.wait(1)
    return texts


def take_and_die(lock, shared):
    lock.acquire()
    shared.append(1)
    os.kill(os.getpid(), signal.SIGKILL)


def manager_without_memory_files(processes, number):
    confinement.forbid(*confinement.MEMORY_FILES, number=number)
    manager, texts = warned(subject.start_manager)
    assert len(texts) == 1 and "memfd_create" in texts[0] and "/dev/shm" in texts[0], texts
    before = sorted(os.listdir("/dev/shm"))
    try:
        assert use(manager, (FORK, SPAWN), processes) == [[], []]
        # By shared memory: what a killed process holds is given back.
        lock, shared = manager.Lock(), manager.list()
        assert manager._statistics()["members"] >= 2
        child = FORK.Process(target=take_and_die, args=(lock, shared))
        child.start()
        child.join()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert lock.acquire(timeout=20)
        assert list(shared) == [1]
        status, report = doctor(manager, "--address", f"unix:{manager.address}")
        assert (status, report["findings"]) == (0, []), report
        # There is no name to be left behind.
        assert sorted(os.listdir("/dev/shm")) == before
    finally:
        manager.shutdown()
    # A server in the process of the program says the same.
    server, texts = warned(subject.managers.SyncManager().get_server)
    assert len(texts) == 1 and "/dev/shm" in texts[0], texts
    server.listener.close()
    return True


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS])
def test_managers_go_without_memfd_create(processes, number):
    """The memory is in a nameless file of /dev/shm, and all that is promised of it holds."""
    pid = processes.fork(manager_without_memory_files, processes.__class__(), number)
    assert processes.join_fork(pid) == 0


def manager_without_any_files(processes):
    confinement.forbid(*confinement.MEMORY_FILES, *confinement.NAMELESS_FILES)
    manager, texts = warned(subject.start_manager)
    assert len(texts) == 1, texts
    assert "memfd_create" in texts[0] and "through connections" in texts[0], texts
    try:
        first, second = use(manager, (FORK, SPAWN), processes)
        # The fork knows already, a new process is told once.
        assert first == []
        assert len(second) <= 1
        again, texts = warned(lambda: subject.managers.SyncManager(manager.address))
        again.connect()
        assert texts == []
    finally:
        manager.shutdown()
    return True


def test_managers_go_without_any_memory_to_share(processes):
    """Nothing can be handed out: the objects are reached through connections."""
    pid = processes.fork(manager_without_any_files, processes.__class__())
    assert processes.join_fork(pid) == 0


def member_without_memory(address, authkey, rules, number):
    confinement.forbid(*rules, number=number)
    multiprocessing.current_process().authkey = authkey
    manager = subject.managers.SyncManager(address, authkey)
    _, texts = warned(manager.connect)
    assert len(texts) == 1, texts
    assert "refused" in texts[0] and "through connections" in texts[0], texts
    shared = manager.list([1])
    shared.extend(range(2, 1001))
    assert sum(shared) == 500500
    _, texts = warned(subject.managers.SyncManager(address, authkey).connect)
    assert texts == []
    return os.getpid(), manager.list([shared])


@pytest.mark.parametrize(
    "rules, number",
    [
        (confinement.SHARED_MAPPINGS, errno.EPERM),
        (confinement.SHARED_MAPPINGS, errno.EACCES),
        (confinement.RECEIVED_FILES, errno.ENOSYS),
    ],
)
def test_members_that_may_not_map_the_memory_use_connections(manager, processes, rules, number):
    """And the others share the memory as before."""
    here = manager.list([1])
    members = manager._statistics()["members"]
    arguments = manager.address, bytes(manager._authkey), rules, number
    child = processes.start(SPAWN, member_without_memory, *arguments)
    pid, theirs = child.result()
    assert pid != os.getpid()
    assert theirs[0][-1] == 1000
    assert manager._statistics()["members"] == members
    here.append(2)
    assert list(here) == [1, 2]
