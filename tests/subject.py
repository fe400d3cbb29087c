"""The module under test, in one place.

Usually that is `coheld`. With COHELD_TEST_STOCK=1 the same tests run on Python's own
`multiprocessing.managers`: that proves that what they expect is what Python really does.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time

IS_STOCK = os.environ.get("COHELD_TEST_STOCK") == "1"

if IS_STOCK:
    import multiprocessing.managers as managers
else:
    import coheld.managers as managers
    from coheld import call_timeout as call_timeout

MODULE = managers.__name__

START_METHODS = ("fork", "spawn", "forkserver")


def start_manager(context=None, **options):
    """A started manager, in a process of the given context (fork unless said otherwise)."""
    manager = managers.SyncManager(ctx=context or multiprocessing.get_context("fork"), **options)
    manager.start()
    return manager


def wait_until(condition, seconds: float = 10.0, every: float = 0.01) -> bool:
    """Wait for a condition; true as soon as it holds, false if it did not in the time given."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(every)
    return bool(condition())


@contextlib.contextmanager
def serving_in_a_thread(server):
    """Have a thread of this process run a server, until the end of the block."""
    codes = []

    def serve():
        try:
            server.serve_forever()
        except SystemExit as end:
            codes.append(end.code)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.stop_event.set()
        thread.join(10)
        multiprocessing.current_process()._manager_server = None
    assert codes == [0]


def stop(process: int) -> None:
    """Stop a process, and wait until it is.

    The kernel tells one thread, which may have to wait for a processor before it tells the others;
    until then they go on.
    """
    os.kill(process, signal.SIGSTOP)
    assert wait_until(lambda: states_of(process) == {"T"}, every=0.0005)


def states_of(process: int) -> set[str]:
    """The letters by which the kernel says what threads do: R runs, S sleeps, T is stopped."""
    states = set()
    for thread in os.listdir(f"/proc/{process}/task"):
        # One that has ended meanwhile does nothing.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{process}/task/{thread}/stat") as file:
                states.add(file.read().rpartition(")")[2].split()[0])
    return states


def run_program(text: str, seconds: float = 60) -> str:
    """Run a program that has to end by itself and without complaint; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def objects_left(manager, expected: int = 0, seconds: float = 10.0) -> int:
    """The manager's number of objects once it is what is expected, or what it is after the time."""

    def settled() -> bool:
        gc.collect()
        return manager._number_of_objects() == expected

    wait_until(settled, seconds)
    return manager._number_of_objects()


def without_addresses(text: str) -> str:
    """Proxies print their address; everything else of the text can be compared."""
    return re.sub(r"at 0x[0-9a-f]+", "at 0x...", text)
