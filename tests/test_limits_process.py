"""Limits of a process: address space, size of files, descriptors.

What a process may not do is an error there, or done in another way; nobody else notices.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
import warnings

import marks
import pytest
import subject

if not subject.IS_STOCK:
    from coheld.errors import StartupError

pytestmark = marks.coheld_only

SPAWN = multiprocessing.get_context("spawn")
FORK = multiprocessing.get_context("fork")
MEGABYTE = 1 << 20


def limit(kind: int, most: int) -> None:
    """Only the soft limit: a test may raise it again."""
    resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def connect(address, authkey):
    multiprocessing.current_process().authkey = authkey
    manager = subject.managers.SyncManager(address, authkey)
    manager.connect()
    return manager


def where(manager):
    return manager.address, bytes(manager._authkey)


# ---- Address space ------------------------------------------------------------------------------


def connect_in_little_space(address, authkey, shared_space):
    limit(resource.RLIMIT_AS, shared_space)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        manager = connect(address, authkey)
        manager.dict()
    shared = manager.list(range(1000))
    shared.append(1000)
    return [(warning.category, str(warning.message)) for warning in caught], shared


def test_members_without_address_space_use_connections(manager, processes):
    """A mapping of 64 GB does not go into 2 GB: connections do, and one warning says so."""
    members = manager._statistics()["members"]
    child = processes.start(SPAWN, connect_in_little_space, *where(manager), 2 << 30)
    [(category, text)], shared = child.result()
    assert category is RuntimeWarning
    assert str(64 << 30) in text and "ulimit -v" in text and "smaller capacity" in text, text
    assert sum(shared) == 500500
    assert manager._statistics()["members"] == members


def test_members_with_address_space_for_it_share_the_memory(processes):
    """The capacity is what counts, so a smaller one helps, as the warning says."""
    manager = subject.start_manager(capacity=64 * MEGABYTE)
    try:
        child = processes.start(SPAWN, connect_in_little_space, *where(manager), 2 << 30)
        warned, shared = child.result()
        assert warned == []
        assert len(shared) == 1001
    finally:
        manager.shutdown()


def manager_within(kind, most):
    limit(kind, most)
    manager = subject.start_manager()
    shared = manager.list()
    stored = 0
    try:
        with pytest.raises(MemoryError):
            while True:
                shared.append(bytes(MEGABYTE))
                stored += 1
        assert len(shared) == stored
        # There is some room again, for this and for others.
        del shared[:]
        shared.append(bytes(MEGABYTE))
        assert FORK.Process(target=shared.append, args=(1,)).start() is None
        assert subject.wait_until(lambda: len(shared) == 2)
        return stored
    finally:
        manager.shutdown()


def test_a_manager_in_little_address_space_has_a_smaller_segment(processes):
    assert 64 <= processes.run(SPAWN, manager_within, resource.RLIMIT_AS, 1 << 30) < 1024


# ---- Size of files ------------------------------------------------------------------------------


def test_a_manager_that_may_make_small_files_has_a_smaller_segment(processes):
    most = 128 * MEGABYTE
    assert 32 <= processes.run(SPAWN, manager_within, resource.RLIMIT_FSIZE, most) < 128


def start_without_files(most):
    # As in a program that is not Python: it would be ended.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    limit(resource.RLIMIT_FSIZE, most)
    with pytest.raises(StartupError) as caught:
        subject.start_manager()
    limit(resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
    manager = subject.start_manager()
    manager.list([1])
    manager.shutdown()
    return str(caught.value)


@pytest.mark.parametrize("most", [1024, 4096, MEGABYTE])
def test_a_manager_that_may_make_no_such_files_says_what_to_do(processes, most):
    """The signal for a file that is too large ended the manager process before it could say so."""
    text = processes.run(SPAWN, start_without_files, most)
    assert "ulimit -f" in text and str(most) in text, text


def fill_with_small_files(address, authkey, shared, queue):
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    limit(resource.RLIMIT_FSIZE, 0)
    manager = connect(address, authkey)
    for number in range(64):
        shared.append(bytes([number]) * MEGABYTE)
        queue.put(bytes(1000))
    mapping = manager.dict({number: str(number) * 100 for number in range(10000)})
    return mapping, FORK.Process(target=mapping.update, args=({"child": 1},)).start()


@pytest.mark.parametrize("started", ["fork", "spawn"])
def test_members_that_may_not_write_files_fill_the_memory(manager, processes, started):
    """A limit on the size of files says nothing about a file that has its size already."""
    shared, queue = manager.list(), manager.Queue()
    context = multiprocessing.get_context(started)
    child = processes.start(context, fill_with_small_files, *where(manager), shared, queue)
    mapping, _ = child.result()
    assert [value[0] for value in shared] == list(range(64))
    assert queue.qsize() == 64
    assert subject.wait_until(lambda: len(mapping) == 10001)


# ---- Descriptors --------------------------------------------------------------------------------


def connect_with_few_descriptors(address, authkey):
    multiprocessing.current_process().authkey = authkey
    manager = subject.managers.SyncManager(address, authkey)
    first = os.open("/dev/null", os.O_RDONLY)
    os.close(first)
    refused = []
    # The numbers below are in use, so that so many are free.
    for free in range(20):
        limit(resource.RLIMIT_NOFILE, first + free)
        try:
            manager.connect()
        except OSError as error:
            assert error.errno == errno.EMFILE, error
            refused.append(str(error))
            continue
        break
    shared = manager.list([1])
    limit(resource.RLIMIT_NOFILE, first)
    # Nothing that the work takes is a descriptor.
    shared.extend(bytes(100) for _ in range(10000))
    lock = manager.Lock()
    with lock:
        shared.sort(key=bool)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return refused, manager._statistics()["members"], shared


def test_who_has_no_descriptors_is_told_and_gets_in_later(manager, processes):
    before = manager._statistics()["members"]
    refused, members, shared = processes.run(SPAWN, connect_with_few_descriptors, *where(manager))
    # One for the connection and one for the memory.
    assert len(refused) == 2, refused
    assert all("Too many open files" in text for text in refused)
    assert members == before + 1
    assert len(shared) == 10001
