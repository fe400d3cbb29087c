"""What members of all storms have in common: the board they write on, and how they work."""

from __future__ import annotations

import faulthandler
import mmap
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable

# An item of the shared list or queue is the member's number and this many bits of a running number.
SEQUENCE_BITS = 30

# The board: one record per member ever started, of these fields. Record 0 is the parent's.
FIELDS = ("pid", "ready", "appended", "popping", "inserted", "removed", "latest", "beat", "doing")
# Those of the storm over queues and locks.
FIELDS += ("put", "getting", "got", "done", "incremented")
RECORD = 16 * 8
STOP = "ready"


class Board:
    """What every member has done so far, in a file that all of them map."""

    def __init__(self, folder: str, records: int = 0) -> None:
        self.path = os.path.join(folder, "board")
        if records:
            with open(self.path, "wb") as file:
                file.truncate(records * RECORD)
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)
        # One aligned 8-byte store each, so a killed writer leaves the old number or the new one.
        self.cells = memoryview(self.memory).cast("q")

    def get(self, member: int, field: str) -> int:
        return self.cells[member * RECORD // 8 + FIELDS.index(field)]

    def set(self, member: int, field: str, number: int) -> None:
        self.cells[member * RECORD // 8 + FIELDS.index(field)] = number

    def close(self) -> None:
        self.cells.release()
        self.memory.close()


class StormMember:
    """One process of a storm: works until it is killed or told to stop."""

    def __init__(self, number: int, folder: str, shared: dict) -> None:
        self.number = number
        self.folder = folder
        self.board = Board(folder)
        self.random = random.Random(number)
        self.shared = shared

    def operations(self) -> list[Callable[[], None]]:
        """What there is to do at random, each as often as is its share."""
        raise NotImplementedError

    def note(self, field: str, number: int) -> None:
        self.board.set(self.number, field, number)

    def item(self, number: int) -> int:
        return (self.number << SEQUENCE_BITS) + number

    def journal(self, name: str) -> int:
        """A file of its own for what it takes; what was written there survives it."""
        path = os.path.join(self.folder, f"{name} {self.number}")
        return os.open(path, os.O_WRONLY | os.O_CREAT)

    def work(self) -> None:
        self.note("pid", os.getpid())
        self.note("ready", 1)
        operations = self.operations()
        beat = 0
        while not self.board.get(0, STOP):
            position = self.random.randrange(len(operations))
            self.note("doing", position)
            operations[position]()
            beat += 1
            self.note("beat", beat)


def be_a_member(kind: type[StormMember], number: int, folder: str, shared: dict) -> None:
    """What each process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The members use all of the processor; the one who kills must not wait for them.
    os.nice(2)
    faulthandler.register(signal.SIGUSR1, file=sys.__stderr__)
    try:
        kind(number, folder, shared).work()
    except BaseException:
        with open(os.path.join(folder, f"error {number}"), "w") as file:
            traceback.print_exc(file=file)
        raise
