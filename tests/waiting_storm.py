"""A storm of SIGKILLs over queues, locks and everything else that waits.

Producers, consumers and holders of locks are killed at random moments, also while they wait, and
others take their place. What is promised and checked:

* every item that was put is gotten by exactly one member, or is still in the queue; of each member
  that died while it was getting, at most one item is gone with it
* whoever finds a lock of the dead is told, so two numbers that are changed under one lock are
  equal whenever nobody was told otherwise
* permits of the dead come back; nobody waits for ever for anything
* a counter loses no increment
* when all is dropped, the memory in use is what it was before

    python tests/waiting_storm.py [--kills 10000] [--members 8] [--seed N]
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys

from kill_storm import Storm, main
from storm_base import SEQUENCE_BITS
from waiting_member import PERMITS, WaitingMember, repaired

QUEUE_SIZE = 20


class WaitingStorm(Storm):
    """The parent's side of it."""

    member = WaitingMember

    def make_shared(self, manager) -> dict:
        lock = manager.Lock()
        return {
            "queue": manager.JoinableQueue(QUEUE_SIZE),
            "lock": lock,
            "pair": (manager.Value("i", 0), manager.Value("i", 0)),
            "rlock": manager.RLock(),
            "semaphore": manager.Semaphore(PERMITS),
            "event": manager.Event(),
            "condition": manager.Condition(),
            "barrier": manager.Barrier(3),
            "counter": manager.Value("i", 0),
        }

    def audit(self) -> None:
        """Nothing grows here that would have to be removed."""

    def check(self) -> list[str]:
        return [*self.check_items(), *self.check_locks(), *self.check_counter()]

    def gotten(self) -> list[int]:
        items: list[int] = []
        for number in range(1, self.started + 1):
            path = os.path.join(self.folder, f"gotten {number}")
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                content = file.read()
                items += struct.unpack(f"<{len(content) // 8}q", content[: len(content) // 8 * 8])
        return items

    def check_items(self):
        queue = self.shared["queue"]
        left = [queue.get_nowait()[0] for _ in range(queue.qsize())]
        everything = left + self.gotten()
        if len(everything) != len(set(everything)):
            yield f"{len(everything) - len(set(everything))} items were delivered twice"
        present = set(everything)
        put = {number: self.board.get(number, "put") for number in range(1, self.started + 1)}
        mask = (1 << SEQUENCE_BITS) - 1
        unknown = [item for item in present if item & mask > put.get(item >> SEQUENCE_BITS, -1)]
        if unknown:
            yield f"{len(unknown)} items that nobody put"
        missing = sum(
            (member << SEQUENCE_BITS) + number not in present
            for member, count in put.items()
            for number in range(count)
        )
        getting = sum(self.board.get(number, "getting") for number in self.killed)
        if missing > getting:
            yield f"{missing} items are lost, but only {getting} members died while getting"
        for _ in left:
            queue.task_done()
        # What the dead have gotten and did not get done.
        forgotten = 0
        with contextlib.suppress(ValueError):
            while True:
                queue.task_done()
                forgotten += 1
        if forgotten > getting:
            yield f"{forgotten} tasks are not done, but only {getting} members died while getting"
        queue.join()

    def check_locks(self):
        first, second = repaired(self.shared["lock"], self.shared["pair"])
        if first != second:
            yield f"under the lock there are {first} and {second}, which have to be equal"
        rlock = self.shared["rlock"]
        if not rlock.acquire(timeout=30):
            yield "the RLock is not free"
        semaphore = self.shared["semaphore"]
        free = 0
        while semaphore.acquire(False):
            free += 1
        if free != PERMITS:
            yield f"{free} permits of {PERMITS} have come back"
        condition = self.shared["condition"]
        if not condition.acquire(timeout=30):
            yield "the lock of the condition is not free"
        self.shared["barrier"].reset()
        if self.shared["barrier"].n_waiting:
            yield f"{self.shared['barrier'].n_waiting} parties wait at the barrier, all are gone"

    def check_counter(self):
        noted = sum(self.board.get(number, "incremented") for number in range(1, self.started + 1))
        found = self.shared["counter"].value
        if not noted <= found <= noted + len(self.killed):
            yield f"the counter is {found} after {noted} increments and {len(self.killed)} kills"


if __name__ == "__main__":
    sys.exit(main(WaitingStorm, kills=10_000))
