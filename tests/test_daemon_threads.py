"""A program may end while its daemon threads are in the middle of a call of a proxy."""

from __future__ import annotations

import signal
import subprocess
import sys

import marks
import pytest

pytestmark = marks.coheld_only

ROUNDS = 10
PROGRAM = """
import sys, threading, time
import coheld


class Item:
    def __init__(self, number):
        self.number = number

    def __eq__(self, other):
        sum(range(20))
        return self.number == other.number

    def __hash__(self):
        return sum(range(20))

    def __reduce__(self):
        sum(range(100))
        return Item, (self.number,)


def work():
    while True:
        if sys.argv[1] == "sort":
            numbers.sort(key=lambda number: -number)
        elif sys.argv[1] == "pickle":
            table["item"] = Item(1)
            table["item"]
        elif sys.argv[1] == "compare":
            items.index(Item(90))
        elif sys.argv[1] == "hash":
            Item(90) in table
        elif sys.argv[1] == "iterate":
            numbers[:] = (sum(range(9)) + number for number in range(100))
        elif sys.argv[1] == "create":
            manager.list([numbers])


manager = coheld.Manager()
numbers, table = manager.list(range(1000)), manager.dict()
items = manager.list([Item(number) for number in range(100)])
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
"""


OBJECTS = """
import sys, threading, time
import coheld.managers


class Slow:
    def get(self):
        return 1

    def work(self, seconds=1):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.001)

    def __del__(self):
        self.work()


class Here(coheld.managers.BaseManager):
    pass


Here.register("Slow", Slow)
server = Here(authkey=b"key").get_server()
server.open()
threading.Thread(target=server._serve, daemon=True).start()
manager = Here(server.address, b"key")
manager.connect()
slow = [manager.Slow() for _ in range(3)]
assert slow[0].get() == 1
slow.clear()
time.sleep(0.3)
"""


@pytest.mark.timeout(180)
def test_objects_that_are_about_to_go():
    """A `__del__` that was under way made the program abort: no thread of Python's ran it."""
    statuses = []
    for _ in range(ROUNDS):
        ended = subprocess.run(
            [sys.executable, "-c", OBJECTS], capture_output=True, text=True, timeout=60
        )
        assert ended.stderr == ""
        statuses.append(ended.returncode)
    assert set(statuses) <= {0, -signal.SIGSEGV}
    assert statuses.count(0) > ROUNDS / 2


@pytest.mark.timeout(180)
@pytest.mark.parametrize("call", ["sort", "pickle", "compare", "hash", "iterate", "create"])
def test_exit_status(call):
    """Such a thread made the program abort; it has to wait in the call until the process ends.

    CPython up to 3.13 frees the state of the interpreter while a daemon thread may be about to take
    the interpreter (seen in `take_gil`, called from `eval_frame_handle_pending`, with nothing but
    Python code on the stack). A program with busy daemon threads so ends with SIGSEGV now and then,
    whatever it imports; an abort, a message or a hang would be ours.
    """
    statuses = []
    for _ in range(ROUNDS):
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, call], capture_output=True, text=True, timeout=60
        )
        assert ended.stderr == ""
        statuses.append(ended.returncode)
    assert set(statuses) <= {0, -signal.SIGSEGV}
    assert statuses.count(0) > ROUNDS / 2
