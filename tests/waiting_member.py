"""A member of the storm over queues and locks: it puts, gets, locks, waits, and may die at it."""

from __future__ import annotations

import faulthandler
import os
import queue
import random
import signal
import struct
import sys
import threading
import traceback
import warnings

from storm_member import SEQUENCE_BITS, STOP, Board

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


class WaitingMember:
    """One process of the storm: works until it is killed or told to stop."""

    def __init__(self, number: int, folder: str, shared: dict) -> None:
        self.number = number
        self.board = Board(folder)
        self.random = random.Random(number)
        self.gotten = os.open(os.path.join(folder, f"gotten {number}"), os.O_WRONLY | os.O_CREAT)
        self.shared = shared
        self.queue = shared["queue"]

    def note(self, field: str, number: int) -> None:
        self.board.set(self.number, field, number)

    def count(self, field: str) -> None:
        self.note(field, self.board.get(self.number, field) + 1)

    def work(self) -> None:
        self.note("pid", os.getpid())
        self.note("ready", 1)
        operations = (
            [self.put] * 6
            + [self.get] * 6
            + [self.change_pair] * 4
            + [self.nest_locks, self.use_permit, self.use_permit]
            + [self.increment] * 2
            + [self.signal_event, self.wait_for_event, self.notify, self.wait_for_notification]
            + [self.meet]
        )
        beat = 0
        while not self.board.get(0, STOP):
            position = self.random.randrange(len(operations))
            self.note("doing", position)
            operations[position]()
            beat += 1
            self.note("beat", beat)

    def put(self) -> None:
        number = self.board.get(self.number, "put")
        item = (self.number << SEQUENCE_BITS) + number
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


def be_a_waiting_member(number: int, folder: str, shared: dict) -> None:
    """What each process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The members use all of the processor; the one who kills must not wait for them.
    os.nice(2)
    faulthandler.register(signal.SIGUSR1, file=sys.__stderr__)
    try:
        WaitingMember(number, folder, shared).work()
    except BaseException:
        with open(os.path.join(folder, f"error {number}"), "w") as file:
            traceback.print_exc(file=file)
        raise
