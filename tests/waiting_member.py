"""A member of the storm over queues and locks: it puts, gets, locks, waits, and may die at it."""

from __future__ import annotations

import os
import queue
import struct
import threading
import warnings

from storm_base import StormMember

PERMITS = 3
# Seconds to wait for something that may not come because everybody waits for the same.
A_MOMENT = 0.02


def told_of_a_death(acquire) -> bool:
    """Acquire; whether that came with the warning that the last owner has died."""
    from coheld import OwnerDiedWarning

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        acquire()
    return any(issubclass(warning.category, OwnerDiedWarning) for warning in told)


def repaired(lock, pair) -> tuple[int, int]:
    """Both numbers, made equal again if their last holder died between them; under the lock."""
    first, second = pair
    if told_of_a_death(lock.acquire):
        second.value = first.value
    try:
        return first.value, second.value
    finally:
        lock.release()


class WaitingMember(StormMember):
    """One process of the storm."""

    def __init__(self, number: int, folder: str, shared: dict) -> None:
        super().__init__(number, folder, shared)
        self.gotten = self.journal("gotten")
        self.queue = shared["queue"]

    def count(self, field: str) -> None:
        self.note(field, self.board.get(self.number, field) + 1)

    def operations(self):
        return (
            [self.put] * 6
            + [self.get] * 6
            + [self.change_pair] * 4
            + [self.nest_locks, self.use_permit, self.use_permit]
            + [self.increment] * 2
            + [self.signal_event, self.wait_for_event, self.notify, self.wait_for_notification]
            + [self.meet]
        )

    def put(self) -> None:
        number = self.board.get(self.number, "put")
        item = self.item(number)
        try:
            # Some items fit into a word of the segment, most need a block.
            self.queue.put((item, "x" * self.random.choice((0, 10, 3000))), timeout=A_MOMENT)
        except queue.Full:
            return
        self.note("put", number + 1)

    def get(self) -> None:
        self.note("getting", 1)
        try:
            item, _ = self.queue.get(timeout=A_MOMENT)
        except queue.Empty:
            pass
        else:
            os.write(self.gotten, struct.pack("<q", item))
            self.queue.task_done()
        self.note("getting", 0)

    def change_pair(self) -> None:
        first, second = self.shared["pair"]
        lock = self.shared["lock"]
        if told_of_a_death(lock.acquire):
            second.value = first.value
        if first.value != second.value:
            raise AssertionError(f"{first.value} and {second.value}, and nobody said why")
        first.value += 1
        second.value += 1
        lock.release()

    def nest_locks(self) -> None:
        rlock = self.shared["rlock"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rlock, rlock, rlock:
                pass

    def use_permit(self) -> None:
        semaphore = self.shared["semaphore"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            semaphore.acquire()
        semaphore.release()

    def increment(self) -> None:
        self.shared["counter"].increment()
        self.count("incremented")

    def signal_event(self) -> None:
        self.shared["event"].set()
        self.shared["event"].clear()

    def wait_for_event(self) -> None:
        self.shared["event"].wait(A_MOMENT)

    def notify(self) -> None:
        condition = self.shared["condition"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with condition:
                condition.notify(self.random.randrange(1, 3))

    def wait_for_notification(self) -> None:
        condition = self.shared["condition"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with condition:
                condition.wait(A_MOMENT)

    def meet(self) -> None:
        barrier = self.shared["barrier"]
        try:
            barrier.wait(A_MOMENT)
        except threading.BrokenBarrierError:
            barrier.reset()
