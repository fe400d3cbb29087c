"""A member of the storm that records histories: what it does, and how it writes that down.

Each member has a file of its own, mapped, so that what was written survives it: one record for each
operation, whose times say whether it has begun and ended.
"""

from __future__ import annotations

import mmap
import os
import queue
import time

from linearizability import ABSENT, Operation
from storm_base import StormMember

#: Numbers of operations in the records.
NAMES = ("get", "set", "increment", "compare_exchange", "pop", "setdefault", "put", "get")
GET, SET, INCREMENT, EXCHANGE, POP, SETDEFAULT, PUT, TAKE = range(len(NAMES))
ARGUMENTS = {SET: 1, INCREMENT: 1, EXCHANGE: 2, SETDEFAULT: 1, PUT: 1}

#: A record: cell, operation, two arguments, result, began, ended; each 8 bytes.
FIELDS = 7
CELL, CODE, FIRST, SECOND, RESULT, BEGAN, ENDED = range(FIELDS)
RECORDS = 1 << 15

QUEUE_SIZE = 4
#: What a large value has behind its number: it needs a block of its own.
PADDING = "x" * 300


class Cell:
    """Something that has one value; `operations` are those that it knows."""

    operations: tuple[int, ...] = (GET, GET, SET)
    initial: int = 0

    def __init__(self, shared) -> None:
        self.shared = shared

    def writable(self, value: int) -> int:
        """What is written for a value that nobody else writes."""
        return value

    def do(self, code: int, first: int, second: int) -> int:
        raise NotImplementedError


class ValueCell(Cell):
    operations = (GET, GET, SET, INCREMENT, EXCHANGE)

    def do(self, code, first, second):
        if code == GET:
            return self.shared.value
        if code == INCREMENT:
            return self.shared.increment(first)
        if code == EXCHANGE:
            return self.shared.compare_exchange(first, second)
        self.shared.value = first
        return 0


class LargeCell(Cell):
    """A Value whose content lies in a block."""

    operations = (GET, GET, SET, EXCHANGE)

    @staticmethod
    def text(number: int) -> str:
        return f"{number} {PADDING}"

    def do(self, code, first, second):
        if code == GET:
            return int(self.shared.value[: -len(PADDING)])
        if code == EXCHANGE:
            return self.shared.compare_exchange(self.text(first), self.text(second))
        self.shared.value = self.text(first)
        return 0


class EntryCell(Cell):
    """An entry of a dict, beside which others come and go."""

    operations = (GET, GET, SET, INCREMENT, EXCHANGE, POP, SETDEFAULT)
    initial = ABSENT
    key = "the key"

    def do(self, code, first, second):
        if code == GET:
            return self.shared.get(self.key, ABSENT)
        if code == SET:
            self.shared[self.key] = first
            return 0
        if code == INCREMENT:
            # What is not there counts as what it reads as.
            return self.shared.increment(self.key, first, ABSENT)
        if code == EXCHANGE:
            return self.shared.compare_exchange(self.key, first, second)
        if code == POP:
            return self.shared.pop(self.key, ABSENT)
        return self.shared.setdefault(self.key, first)


class ItemCell(Cell):
    """An item of a list or an Array."""

    def do(self, code, first, second):
        if code == GET:
            return self.shared[1]
        self.shared[1] = first
        return 0


class AttributeCell(Cell):
    """An attribute of a Namespace."""

    def do(self, code, first, second):
        if code == GET:
            return self.shared.content
        self.shared.content = first
        return 0


class EventCell(Cell):
    def writable(self, value):
        return value % 2

    def do(self, code, first, second):
        if code == GET:
            return self.shared.is_set()
        (self.shared.set if first else self.shared.clear)()
        return 0


class QueueCell(Cell):
    """Not one value: whatever is put comes out once, in the order in which it was put."""

    operations = (PUT, TAKE)

    def do(self, code, first, second):
        try:
            if code == TAKE:
                return self.shared.get_nowait()
            self.shared.put_nowait(first)
        except queue.Empty:
            return ABSENT
        except queue.Full:
            return 0
        return 1


CELLS = {
    "value": ValueCell,
    "large": LargeCell,
    "entry": EntryCell,
    "item": ItemCell,
    "array": ItemCell,
    "attribute": AttributeCell,
    "event": EventCell,
    "queue": QueueCell,
}


def path_of(folder: str, number: int) -> str:
    return os.path.join(folder, f"history {number}")


class HistoryMember(StormMember):
    """Works on a few cells, each of which all others work on, too."""

    def __init__(self, number: int, folder: str, shared: dict) -> None:
        super().__init__(number, folder, shared)
        self.cells = [kind(shared[name]) for name, kind in CELLS.items()]
        with open(path_of(folder, number), "w+b") as file:
            file.truncate(RECORDS * FIELDS * 8)
            self.records = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")
        self.written = 0
        self.values = 0

    def operations(self):
        return [lambda place=place: self.work_on(place) for place in range(len(self.cells))]

    def fresh(self) -> int:
        """A value that nobody else writes; odd and even in turns."""
        self.values += 1
        return (self.number << 24) + self.values

    def work_on(self, place: int) -> None:
        """A few operations in a row on one cell: the others come by in the meantime."""
        cell, seen = self.cells[place], 0
        for _ in range(self.random.randrange(1, 8)):
            if self.written == RECORDS:
                time.sleep(0.001)
                return
            code = self.random.choice(cell.operations)
            first = 1 if code == INCREMENT else cell.writable(self.fresh())
            second = 0
            if code == EXCHANGE:
                first, second = seen, first
            result = self.record(place, code, first, second, cell)
            if code in (GET, INCREMENT):
                seen = result

    def record(self, place: int, code: int, first: int, second: int, cell: Cell) -> int:
        records, at = self.records, self.written * FIELDS
        self.written += 1
        records[at + CELL], records[at + CODE] = place, code
        records[at + FIRST], records[at + SECOND] = first, second
        # Each is one aligned store of 8 bytes, and they become visible in this order.
        records[at + BEGAN] = time.monotonic_ns()
        result = int(cell.do(code, first, second))
        ended = time.monotonic_ns()
        records[at + RESULT] = result
        records[at + ENDED] = ended
        return result


def read_history(folder: str, number: int, died: int) -> list[tuple[int, Operation]]:
    """What a member has written down: the cell's place and the operation, in order."""
    found = []
    try:
        with open(path_of(folder, number), "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return found
    cells = memoryview(content[: len(content) // 8 * 8]).cast("q")
    for at in range(0, len(cells) - FIELDS + 1, FIELDS):
        cell, code, first, second, result, began, ended = cells[at : at + FIELDS]
        if not began:
            break
        arguments = (first, second)[: ARGUMENTS.get(code, 0)]
        known = result if ended else None
        operation = Operation(number, NAMES[code], arguments, known, began, ended or died)
        found.append((cell, operation))
    return found
