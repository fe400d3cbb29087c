"""Fixtures: managers, processes that cannot outlive their test, and a time limit for every test."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys

import pytest
import subject

# A test that waits for ever must fail, not stop the whole run. Tests that need longer say so with
# a marker of their own.
SECONDS_PER_TEST = 60


def pytest_configure(config):
    config.addinivalue_line("markers", "timeout: how long the test may take (pytest-timeout)")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS_PER_TEST))


def pytest_sessionfinish():
    """A process that a failed test has left must not keep the interpreter from its end."""
    for child in multiprocessing.active_children():
        print(f"left by a test, and ended now: {child}")
        child.kill()
        child.join()


def pytest_report_header():
    return f"module under test: {subject.MODULE}, Python {sys.version.split()[0]}"


@pytest.fixture(autouse=True)
def last_resort(request):
    """If a test hangs where pytest-timeout cannot reach it, end the run with a trace."""
    marker = request.node.get_closest_marker("timeout")
    faulthandler.dump_traceback_later(marker.args[0] + 30, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(params=subject.START_METHODS)
def context(request):
    """A multiprocessing context; the test runs once for each start method."""
    return multiprocessing.get_context(request.param)


@pytest.fixture
def manager():
    """A started manager that is shut down after the test."""
    started = subject.start_manager()
    yield started
    started.shutdown()


@pytest.fixture
def manager_of_context(context):
    """A started manager, its process and the test's `context` of the same start method."""
    started = subject.start_manager(context)
    yield started
    started.shutdown()


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent is gone, however that came about."""
    import ctypes

    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run_in_child(target, args, results) -> None:
    """What each process of `Processes` runs: the target, then its result or exception goes back."""
    die_with_parent()
    try:
        answer = (True, target(*args))
    except Exception as problem:
        answer = (False, problem)
    try:
        results.send(answer)
    except Exception as problem:
        results.send((False, RuntimeError(f"{answer!r} cannot be sent back: {problem!r}")))
    results.close()


class Child:
    """A started process and the pipe its result comes back through."""

    def __init__(self, context, target, args) -> None:
        self.results, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=run_in_child, args=(target, args, theirs))
        self.process.start()
        theirs.close()
        self.pid = self.process.pid

    def result(self, seconds: float = 30.0):
        """What the target returned; what it raised is raised here."""
        if not self.results.poll(seconds):
            raise TimeoutError(f"process {self.pid} gave no result within {seconds} s")
        fine, answer = self.results.recv()
        self.process.join(seconds)
        if fine:
            return answer
        raise answer

    def kill(self) -> None:
        """End the process at whatever instruction it is."""
        self.process.kill()
        self.process.join()

    def close(self) -> None:
        self.results.close()
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


class Processes:
    """Starts processes and ends each of them by its own id when the test is over, failed or not."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self.forked: list[int] = []

    def start(self, context, target, *args) -> Child:
        child = Child(context, target, args)
        self.children.append(child)
        return child

    def run(self, context, target, *args, seconds: float = 30.0):
        """Start a process and return what its target returns."""
        return self.start(context, target, *args).result(seconds)

    def fork(self, target, *args) -> int:
        """A bare os.fork(); the child exits with status 0 if the target returns something true."""
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                die_with_parent()
                status = 0 if target(*args) else 2
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                # Not sys.exit: this process must not run pytest's own clean-up.
                os._exit(status)
        self.forked.append(pid)
        return pid

    def join_fork(self, pid: int) -> int:
        """The exit status of a forked child."""
        _, status = os.waitpid(pid, 0)
        self.forked.remove(pid)
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)

    def close(self) -> None:
        for child in self.children:
            child.close()
        for pid in self.forked:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@pytest.fixture
def processes():
    """Starts processes for a test and ends them with it."""
    started = Processes()
    yield started
    started.close()
