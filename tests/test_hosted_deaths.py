"""Deaths in the middle of a call: of the host in every phase, of clients, of the creator."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time

import marks
import pytest
import subject
from hosted_classes import LONG, Slow, WorkManager, echo_many, settles

FORK = multiprocessing.get_context("fork")
#: What programs catch when the manager is gone.
GONE = (EOFError, ConnectionError, FileNotFoundError)


@pytest.fixture
def work_manager():
    manager = WorkManager(ctx=FORK)
    manager.start()
    yield manager
    manager.shutdown()


def call_and_report(work, call, *args):
    """The class of the exception that a call ends with, and how long it took."""
    began = time.monotonic()
    try:
        getattr(work, call)(*args)
    except Exception as problem:
        return type(problem), str(problem), time.monotonic() - began
    return None, "", time.monotonic() - began


def fails_when_killed(manager, first, prepare, seen, work, call, *args):
    """Calls in a thread, kills the host once `seen` has seen the phase come."""
    reports = []
    called, go = threading.Event(), threading.Event()

    def run():
        first()
        called.set()
        go.wait(LONG)
        reports.append(call_and_report(work, call, *args))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert called.wait(LONG / 2)
    prepare()
    go.set()
    seen()
    os.kill(manager._process.pid, signal.SIGKILL)
    thread.join(LONG / 2)
    assert not thread.is_alive(), "the call still waits for a host that is gone"
    (failure, text, _took) = reports[0]
    assert failure is not None and issubclass(failure, GONE), (failure, text)
    return failure, text


PHASES = {
    "before the host looks": ("stopped", "echo", (1,)),
    "while the argument is unpickled": ("asleep", "echo", (Slow(),)),
    "while the method runs": ("asleep", "sleep", (LONG,)),
    "while the method waits": ("waiting", "wait", ()),
    "while the result is pickled": ("asleep", "echo", None),
}


@pytest.mark.parametrize("known", ["first call", "later call"])
@pytest.mark.parametrize("phase", PHASES)
def test_host_is_killed(work_manager, phase, known):
    how, call, args = PHASES[phase]
    work = work_manager.Work()
    if args is None:
        args = (Later(),)

    def first():
        # In the thread that is going to call: each has a channel of its own.
        if known == "later call":
            assert work.add(1) == 1

    def prepare():
        if how == "stopped":
            subject.stop(work_manager._process.pid)

    def seen():
        if how == "stopped":
            time.sleep(0.1)
        elif how == "waiting":
            assert subject.wait_until(lambda: work.waiting() == 1)
        else:
            time.sleep(0.3)

    failure, text = fails_when_killed(work_manager, first, prepare, seen, work, call, *args)
    if not subject.IS_STOCK:
        assert str(work_manager._process.pid) in text or "manager" in text
    # And every later one fails at once, with an exception of the same family.
    for _ in range(3):
        failure, text, took = call_and_report(work, "add", 1)
        assert failure is not None and issubclass(failure, GONE), (failure, text)
    assert "failed" in str(work)


class Later:
    """Is pickled quickly by the client, and slowly by the host."""

    home = os.getpid()

    def __reduce__(self):
        if os.getpid() != Later.home:
            time.sleep(LONG)
        return (Later, ())


@marks.coheld_only
@pytest.mark.parametrize("size", [10, 100_000])
def test_client_is_killed_while_it_calls(work_manager, processes, size):
    """Whoever is left works on, and nothing of the dead stays behind."""
    work = work_manager.Work()
    before = work.threads()

    def hammer(work):
        blob = b"x" * size
        while True:
            work.echo(blob)

    for round_ in range(5):
        pids = [processes.fork(hammer, work) for _ in range(3)]
        time.sleep(0.15 + round_ * 0.01)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            assert processes.join_fork(pid) == -signal.SIGKILL
        assert echo_many(work, 50, round_) == 0
    assert settles(work.threads, before), work.threads()
    del work
    assert subject.objects_left(work_manager) == 0


@marks.coheld_only
def test_client_is_killed_while_its_method_runs(work_manager, processes):
    """The method goes on to its end; then its thread goes, too."""
    work = work_manager.Work()
    before = work.threads()
    pid = processes.fork(lambda: work.wait())
    assert subject.wait_until(lambda: work.waiting() == 1)
    os.kill(pid, signal.SIGKILL)
    processes.join_fork(pid)
    assert work.threads() == before + 1
    work.open()
    assert settles(work.threads, before)


@marks.coheld_only
def test_objects_of_the_dead_go(work_manager, processes):
    ready, told = FORK.Pipe(duplex=False)

    def hold():
        kept = [work_manager.Work() for _ in range(20)]
        told.send(len(kept))
        time.sleep(LONG)

    pid = processes.fork(hold)
    assert ready.recv() == 20
    assert work_manager._number_of_objects() == 20
    os.kill(pid, signal.SIGKILL)
    processes.join_fork(pid)
    assert subject.objects_left(work_manager) == 0


@marks.coheld_only
@pytest.mark.parametrize("what", ["create", "proxy"])
@pytest.mark.parametrize("end", ["killed", "too late", "interrupted"])
def test_results_that_nobody_takes_go(work_manager, processes, what, end):
    """An object that was made for a caller who is not there any more."""
    seconds = 0.3
    laborious = work_manager.Laborious()

    def call():
        if what == "create":
            return work_manager.Laborious(seconds)
        return laborious.another(seconds)

    for _ in range(5):
        if end == "killed":
            pid = processes.fork(call)
            time.sleep(seconds / 3)
            os.kill(pid, signal.SIGKILL)
            processes.join_fork(pid)
        elif end == "too late":
            with subject.call_timeout(seconds / 3), pytest.raises(TimeoutError):
                call()
        else:
            with pytest.raises(Enough), alarm(seconds / 3):
                call()
    time.sleep(seconds)
    assert subject.objects_left(work_manager, 1) == 1


class Enough(Exception):
    """Raised by a signal handler."""


@contextlib.contextmanager
def alarm(seconds):
    """Raises `Enough` in the main thread, once."""

    def enough(_number, _frame):
        raise Enough

    previous = signal.signal(signal.SIGALRM, enough)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@marks.coheld_only
def test_interrupted_calls_get_no_answer_of_others(work_manager):
    """Stock's next call returns what the interrupted one had asked for."""
    work = work_manager.Work()
    interrupted = 0
    for number in range(200):
        with contextlib.suppress(Enough), alarm(0.0005 + number % 7 * 0.0002):
            interrupted += 1
            while True:
                # Long enough that most of the time is spent inside of a call.
                assert work.sleep(0.0003) == 0.0003
                assert work.echo((number, "x")) == (number, "x")
        assert work.echo(number) == number
    assert interrupted == 200


@marks.coheld_only
def test_manager_ends_with_its_creator(processes):
    """Also when that is killed, and while a method is running."""
    ours, theirs = FORK.Pipe(duplex=False)

    def create():
        manager = WorkManager(ctx=FORK)
        manager.start()
        work = manager.Work()
        threading.Thread(target=work.wait, daemon=True).start()
        while work.waiting() == 0:
            time.sleep(0.01)
        theirs.send((manager._process.pid, manager.address))
        time.sleep(LONG)

    pid = processes.fork(create)
    manager_pid, address = ours.recv()
    assert os.path.exists(f"/proc/{manager_pid}")
    os.kill(pid, signal.SIGKILL)
    processes.join_fork(pid)
    assert subject.wait_until(lambda: not os.path.exists(f"/proc/{manager_pid}"), 10)
    assert not os.path.exists(address)


def test_interrupt_of_the_terminal_does_not_end_the_manager(work_manager):
    work = work_manager.Work()
    os.kill(work_manager._process.pid, signal.SIGINT)
    assert work.add(1) == 1
    os.kill(work_manager._process.pid, signal.SIGINT)
    assert work.add(1) == 2


@pytest.mark.parametrize("busy", [False, True])
def test_shutdown_while_calls_wait(busy):
    """A shutdown is not held up by methods that do not come back."""
    manager = WorkManager(ctx=FORK)
    manager.start()
    work = manager.Work()
    reports = []
    thread = threading.Thread(
        target=lambda: reports.append(call_and_report(work, "wait")), daemon=True
    )
    if busy:
        thread.start()
        assert subject.wait_until(lambda: work.waiting() == 1)
    began = time.monotonic()
    manager.shutdown()
    assert time.monotonic() - began < LONG / 2
    assert manager._process.exitcode in (0, -signal.SIGTERM)
    if busy:
        thread.join(LONG / 2)
        assert not thread.is_alive()
        assert issubclass(reports[0][0], GONE)
    failure, _text, _took = call_and_report(work, "add", 1)
    assert issubclass(failure, GONE)


@marks.coheld_only
def test_calls_that_take_too_long(work_manager):
    """Beyond the time given a call raises, and the next one is none the worse."""
    work = work_manager.Work()
    with pytest.raises(TimeoutError, match="sleep"):
        work._callmethod("sleep", (LONG,), timeout=0.05)
    assert work.add(1) == 1
    with subject.call_timeout(0.05):
        with pytest.raises(TimeoutError):
            work.sleep(LONG)
        assert work.add(1) == 2
    assert work.sleep(0.1) == 0.1


@marks.coheld_only
def test_time_limit_of_a_manager(processes):
    """It holds for every process that has a proxy."""
    manager = WorkManager(ctx=FORK, call_timeout=0.2)
    with manager:
        work = manager.Work()
        with pytest.raises(TimeoutError):
            work.sleep(LONG)
        failure, _text, took = processes.run(FORK, call_and_report, work, "sleep", LONG)
        assert issubclass(failure, TimeoutError) and took < LONG / 2
        assert work.add(1) == 1
