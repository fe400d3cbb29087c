"""A storm that records histories: members are killed at random, and every result that anybody got
is checked for linearizability (see linearizability.py).

An operation of a member that was killed has happened before its death was known, or never.

    python tests/history_storm.py [--kills 2000] [--members 8] [--seed N]
"""

from __future__ import annotations

import collections
import sys
import time

import kill_storm
from history_member import CELLS, QUEUE_SIZE, HistoryMember, LargeCell, QueueCell, read_history
from kill_storm import Storm
from linearizability import Operation, bounded_queue, check, register

#: A new manager and new objects after so many kills: histories stay short enough to be searched.
KILLS_PER_ROUND = 100
MEMBERS = kill_storm.MEMBERS


class HistoryStorm(Storm):
    """The parent's side."""

    member = HistoryMember

    def __init__(self, *arguments) -> None:
        self.died: dict[int, int] = {}
        super().__init__(*arguments)

    def make_shared(self, manager) -> dict:
        return {
            "value": manager.Value("i", 0),
            "large": manager.Value("O", LargeCell.text(0)),
            "entry": manager.dict(),
            "item": manager.list([0] * 3),
            "array": manager.Array("q", [0] * 3),
            "attribute": manager.Namespace(content=0),
            "event": manager.Event(),
            "queue": manager.Queue(QUEUE_SIZE),
        }

    def replace(self, position: int) -> None:
        place = self.places[position]
        place.process.join()
        # From now on nothing that it began can happen any more.
        self.died[place.number] = time.monotonic_ns()
        super().replace(position)

    def audit(self) -> None:
        """Nothing grows here that would have to be removed."""

    def histories(self) -> dict[str, list[Operation]]:
        """Of each cell, what everybody did to it."""
        names = list(CELLS)
        now = time.monotonic_ns()
        found: dict[str, list[Operation]] = {name: [] for name in names}
        for number in range(1, self.started + 1):
            for place, operation in read_history(self.folder, number, self.died.get(number, now)):
                found[names[place]].append(operation)
        return found

    def check(self) -> list[str]:
        problems = []
        for name, operations in self.histories().items():
            kind = CELLS[name]
            if kind is QueueCell:
                violation = check(operations, (), bounded_queue(QUEUE_SIZE))
            else:
                violation = check(operations, kind.initial, register)
            if violation:
                problems.append(f"{name}: {violation}")
            self.told[name] += len(operations)
            self.told["killed"] += sum(not operation.is_known for operation in operations)
        return problems

    #: What all rounds together have checked.
    told: collections.Counter = collections.Counter()


def storm(kills: int, members: int = MEMBERS, seed: int = 0) -> str:
    """As many rounds as that takes; raises StormFailed, or says in a line how it went."""
    HistoryStorm.told.clear()
    rounds = 0
    for first in range(0, kills, KILLS_PER_ROUND):
        share = min(KILLS_PER_ROUND, kills - first)
        kill_storm.storm(share, members, seed + rounds, kind=HistoryStorm)
        rounds += 1
    told = dict(HistoryStorm.told)
    unknown = told.pop("killed")
    each = ", ".join(f"{name} {count:,}" for name, count in told.items())
    return (
        f"{kills} kills among {members} members in {rounds} rounds, {sum(told.values()):,} "
        f"operations ({unknown} of them cut short): all linearizable ({each})"
    )


if __name__ == "__main__":
    sys.exit(kill_storm.run_from_command_line(storm))
