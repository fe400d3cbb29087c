"""Members in other pid and time namespaces than the manager, and members whose pid is another's.

What a process is called, and what its clocks say, differ there; who lives does not.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
import warnings
from queue import Empty

import confinement
import marks
import pytest
import subject
from conftest import die_with_parent

if not subject.IS_STOCK:
    from coheld.errors import ManagerGone

pytestmark = marks.coheld_only

SPAWN = multiprocessing.get_context("spawn")
LONG = 30
HOURS = 20 * 3600

pids_needed = pytest.mark.skipif(
    (why := confinement.why_no_pid_namespaces()) != "",
    reason=f"pid namespaces cannot be made here: {why}",
)
times_needed = pytest.mark.skipif(
    (why := confinement.why_no_time_namespaces()) != "",
    reason=f"time namespaces cannot be made here: {why}",
)


def connect(address, authkey):
    multiprocessing.current_process().authkey = authkey
    manager = subject.managers.SyncManager(address, authkey)
    manager.connect()
    return manager


def in_namespace(kinds, function, arguments, prepare=None):
    """Run a function in a child process in new namespaces; its exit status. Whoever kills the
    process that has called this kills that child too."""
    confinement.unshare(kinds)
    if prepare is not None:
        prepare()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            die_with_parent()
            function(*arguments)
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# ---- Pid namespaces -----------------------------------------------------------------------------


def hold_and_work(sees_own, address, authkey, lock, ready, go, shared):
    """Member in a pid namespace of its own: it is process 1 there."""
    assert os.getpid() == 1
    if sees_own:
        confinement.see_own_processes()
    connect(address, authkey)
    with lock:
        ready.put(sees_own)
        assert go.wait(LONG)
        shared.append("held")
    ready.put("out")
    time.sleep(LONG)


def start_in_pids(processes, manager, sees_own, lock, ready, go, shared):
    arguments = (
        sees_own,
        manager.address,
        bytes(manager._authkey),
        lock,
        ready,
        go,
        shared,
    )
    return processes.start(
        multiprocessing.get_context("fork"),
        in_namespace,
        confinement.NEW_PIDS,
        hold_and_work,
        arguments,
    )


@pids_needed
@pytest.mark.parametrize("sees_own", [True, False], ids=["own /proc", "foreign /proc"])
def test_members_in_other_pid_namespaces_live_and_die(manager, processes, sees_own):
    """Two namespaces, in both of which the member is process 1, and the manager in neither.

    Two processes that call themselves alike took each other for themselves, and with that for
    dead: what one of them held, the other took.
    """
    locks = [manager.Lock(), manager.Lock()]
    ready, shared = manager.Queue(), manager.list()
    go = [manager.Event(), manager.Event()]
    members = [
        start_in_pids(processes, manager, sees_own, lock, ready, event, shared)
        for lock, event in zip(locks, go)
    ]
    assert [ready.get(timeout=LONG) for _ in members] == [sees_own] * 2
    before = manager._statistics()["members"]
    # Longer than the reaper and anybody else who waits needs to look at who lives.
    for lock in locks:
        assert not lock.acquire(timeout=0.7)
    assert manager._statistics()["members"] == before
    go[0].set()
    assert ready.get(timeout=LONG) == "out"
    assert locks[0].acquire(timeout=LONG)
    # The second one dies with its lock in its hands. Its death is noticed.
    members[1].kill()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert locks[1].acquire(timeout=LONG)
    members[0].kill()
    assert list(shared) == ["held"]
    assert subject.wait_until(lambda: manager._statistics()["members"] <= before - 2)


def try_both(address, authkey, own, other, ready, go):
    assert os.getpid() == 1
    connect(address, authkey)
    with own:
        ready.put("holds")
        assert go.wait(LONG)
        ready.put(other.acquire(timeout=0.7))
        time.sleep(LONG)


@pids_needed
def test_members_of_one_name_do_not_take_each_other_for_dead(manager, processes):
    """Process 1 of two pid namespaces, neither of which has a /proc: nothing but the kernel's locks
    tells them apart."""
    locks = [manager.Lock(), manager.Lock()]
    ready, go = manager.Queue(), manager.Event()
    for own, other in (locks, locks[::-1]):
        arguments = (manager.address, bytes(manager._authkey), own, other, ready, go)
        context = multiprocessing.get_context("fork")
        processes.start(context, in_namespace, confinement.NEW_PIDS, try_both, arguments)
    assert [ready.get(timeout=LONG) for _ in locks] == ["holds"] * 2
    go.set()
    assert [ready.get(timeout=LONG) for _ in locks] == [False] * 2


class Sleeper:
    """An object of the manager process."""

    def pid(self):
        return os.getpid()

    def sleep(self, seconds):
        time.sleep(seconds)


class SleeperManager(subject.managers.SyncManager):
    """A manager with one of the program's own classes."""


SleeperManager.register("Sleeper", Sleeper)


def serve_in_other_pids(sees_own, results):
    assert os.getpid() == 1
    if sees_own:
        confinement.see_own_processes()
    manager = SleeperManager(ctx=multiprocessing.get_context("fork"))
    manager.start()
    shared = manager.list([os.getpid()])
    results.send((manager.address, bytes(manager._authkey)))
    assert results.recv() == "add"
    shared.append(manager.Sleeper().pid())
    results.send(list(shared))
    time.sleep(LONG)


@pids_needed
@pytest.mark.parametrize("sees_own", [True, False], ids=["own /proc", "foreign /proc"])
def test_a_manager_in_another_pid_namespace(processes, sees_own):
    """The manager is what cannot be seen from here. It serves, and its end is noticed."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    arguments = (sees_own, theirs)
    child = processes.start(
        context, in_namespace, confinement.NEW_PIDS, serve_in_other_pids, arguments
    )
    address, authkey = ours.recv()
    multiprocessing.current_process().authkey = authkey
    manager = SleeperManager(address, authkey)
    manager.connect()
    ours.send("add")
    first, second = ours.recv()
    assert first == 1 and second > 1
    sleeper, shared = manager.Sleeper(), manager.list([1])
    assert sleeper.pid() == second
    # Longer than the reaper there and whoever waits here needs to look at who lives.
    sleeper.sleep(0.7)
    caller = processes.start(context, sleeper.sleep, LONG)
    assert subject.wait_until(lambda: manager._statistics()["members"] >= 4)
    child.kill()
    with pytest.raises(ManagerGone):
        caller.result(LONG)
    # What is in the memory is there.
    shared.append(2)
    assert list(shared) == [1, 2]


# ---- Pids that are given again ------------------------------------------------------------------


def die_and_be_followed(address, authkey, lock, shared, results):
    """In a pid namespace, where nobody else takes pids: a member dies and another gets its pid."""
    confinement.see_own_processes()

    def fork_as(pid, function):
        confinement.set_next_pid(pid)
        child = os.fork()
        if child == 0:
            try:
                function()
                time.sleep(LONG)
            finally:
                os._exit(1)
        assert child == pid
        return child

    def hold():
        connect(address, authkey)
        assert lock.acquire(timeout=LONG)
        results.put("holds")

    def take_its_place():
        connect(address, authkey)
        shared.append(os.getpid())
        results.put("follows")

    first = fork_as(300, hold)
    assert results.get(timeout=LONG) == "holds"
    # The start time tells them apart, in ticks of a hundredth of a second.
    time.sleep(0.05)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    fork_as(300, take_its_place)
    assert results.get(timeout=LONG) == "follows"
    time.sleep(LONG)


@pids_needed
def test_the_dead_are_dead_though_their_pid_is_in_use(manager, processes):
    lock, shared, results = manager.Lock(), manager.list(), manager.Queue()
    arguments = (manager.address, bytes(manager._authkey), lock, shared, results)
    context = multiprocessing.get_context("fork")
    child = processes.start(
        context, in_namespace, confinement.NEW_PIDS, die_and_be_followed, arguments
    )
    assert subject.wait_until(lambda: list(shared) == [300], LONG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert lock.acquire(timeout=LONG)
    # By this very member, or by the reaper before it.
    assert all("died" in str(warning.message) for warning in caught)
    child.kill()


# ---- Time namespaces ----------------------------------------------------------------------------


def serve_in_another_time(results):
    """A manager whose clocks are hours ahead, and a use of each limit of time there."""
    manager = subject.start_manager()
    begin = time.monotonic()
    assert begin > HOURS
    lock, queue = manager.Lock(), manager.Queue()
    assert lock.acquire(timeout=LONG)
    assert not manager.Semaphore(0).acquire(timeout=0.3)
    with pytest.raises(Empty):
        queue.get(timeout=0.3)
    assert 0.6 <= time.monotonic() - begin < LONG
    results.send((manager.address, bytes(manager._authkey)))
    assert results.recv() == "done"
    manager.shutdown()


@times_needed
def test_references_on_their_way_hold_between_clocks(processes):
    """A reference of which nobody knows but a pickle stays for ten minutes, whatever the clock of
    the process says that made it.

    A manager whose clock was ahead took it for lost at once.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = processes.start(
        context,
        in_namespace,
        confinement.NEW_TIME,
        serve_in_another_time,
        (theirs,),
        lambda: confinement.set_clocks_ahead(HOURS),
    )
    address, authkey = ours.recv()
    manager = connect(address, authkey)
    pickled = pickle.dumps(manager.list(["on its way"]))
    # The manager process looks for such references once a second.
    time.sleep(2.5)
    assert list(pickle.loads(pickled)) == ["on its way"]
    ours.send("done")
    assert child.result(LONG) == 0
