"""Measurements that need more than one process, or a manager of their own."""

from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterable

from measure import summary

CALLS_BETWEEN_CLOCK_READS = 50


def read_until(shared, deadline: float, connection) -> None:
    """One client: reads the shared list until the deadline, then reports how often it did."""
    calls = 0
    batch = range(CALLS_BETWEEN_CLOCK_READS)
    shared[0]
    connection.send("ready")
    begin = connection.recv()
    end = begin + deadline
    while time.monotonic() < begin:
        pass
    while time.monotonic() < end:
        for position in batch:
            shared[position]
        calls += CALLS_BETWEEN_CLOCK_READS
    connection.send((calls, time.monotonic() - begin))
    connection.close()


def total_rate(context, client, shared, clients: int, seconds: float) -> float:
    """Operations a second of all clients together, each a process that runs `client`."""
    workers = []
    try:
        for _ in range(clients):
            ours, theirs = context.Pipe()
            worker = context.Process(target=client, args=(shared, seconds, theirs))
            worker.start()
            theirs.close()
            workers.append((worker, ours))
        for _, ours in workers:
            ours.recv()
        begin = time.monotonic() + 0.05
        for _, ours in workers:
            ours.send(begin)
        reports = [ours.recv() for _, ours in workers]
    finally:
        for worker, ours in workers:
            ours.close()
            worker.join(timeout=10)
            if worker.is_alive():
                worker.kill()
                worker.join()
    return sum(calls / took for calls, took in reports)


def contention(context, managers: dict, clients: tuple, rounds: int, seconds: float) -> list[dict]:
    """Total operations a second on one list, for several numbers of clients."""
    results = []
    for number in clients:
        rates: dict[str, list[float]] = {side: [] for side in managers}
        for _ in range(rounds):
            for side, manager in managers.items():
                shared = manager.list(range(100))
                rates[side].append(total_rate(context, read_until, shared, number, seconds))
        # As seconds per operation, so that "median" and "min" mean the same as everywhere else.
        sides = {side: summary([1 / rate for rate in values]) for side, values in rates.items()}
        results.append({"clients": number, "sides": sides})
    return results


def fill(queue, items: int, connection) -> None:
    """The producer: puts its items as fast as it can."""
    connection.send("ready")
    connection.recv()
    for number in range(items):
        queue.put(number)
    connection.close()


def answer(requests, replies, items: int, connection) -> None:
    """Sends each item back."""
    connection.send("ready")
    connection.recv()
    for _ in range(items):
        replies.put(requests.get())
    connection.close()


def with_worker(context, target, arguments: tuple, measured) -> float:
    """Seconds that `measured` takes beside one worker process that has just started its work."""
    ours, theirs = context.Pipe()
    worker = context.Process(target=target, args=(*arguments, theirs))
    worker.start()
    theirs.close()
    try:
        ours.recv()
        began = time.perf_counter()
        ours.send("go")
        measured()
        took = time.perf_counter() - began
    finally:
        ours.close()
        worker.join(timeout=30)
        if worker.is_alive():
            worker.kill()
            worker.join()
    return took


def pipelines(context, managers: dict, rounds: int, items: dict) -> list[dict]:
    """Seconds per item from a producer to a consumer, and per round trip, between two processes.

    `items` says how many a round takes on each side.
    """

    def stream(manager, count: int) -> float:
        queue = manager.Queue()

        def consume() -> None:
            for _ in range(count):
                queue.get()

        return with_worker(context, fill, (queue, count), consume) / count

    def round_trip(manager, count: int) -> float:
        requests, replies = manager.Queue(), manager.Queue()

        def ask() -> None:
            for number in range(count):
                requests.put(number)
                replies.get()

        return with_worker(context, answer, (requests, replies, count), ask) / count

    results = []
    for name, measure, share in (
        ("Queue between two processes", stream, 1),
        ("Queue, there and back", round_trip, 4),
    ):
        samples: dict[str, list[float]] = {side: [] for side in managers}
        for _ in range(rounds):
            for side, manager in managers.items():
                samples[side].append(measure(manager, items[side] // share))
        results.append(
            {"name": name, "sides": {side: summary(taken) for side, taken in samples.items()}}
        )
    return results


def start_once(start) -> float:
    """Start a manager, do one operation; closing it is not part of the time."""
    began = time.perf_counter()
    manager = start()
    shared = manager.list([1])
    shared[0]
    took = time.perf_counter() - began
    del shared
    manager.shutdown()
    return took


def start_up(starters: dict, rounds: int) -> dict:
    """Seconds from nothing to the first operation done."""
    samples: dict[str, list[float]] = {side: [] for side in starters}
    for _ in range(rounds):
        for side, start in starters.items():
            samples[side].append(start_once(start))
    return {side: summary(values) for side, values in samples.items()}


def proportional_set_size(pid: int) -> int:
    """Bytes of memory a process accounts for, shared pages divided by those who map them."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    raise OSError(f"/proc/{pid}/smaps_rollup holds no Pss line")


def grown(start, make, entries: int) -> float:
    """Bytes per entry by which a manager and its client grow when an object is filled.

    Entries go in one by one, because a bulk copy would leave its buffers behind in both processes.
    """
    manager = start()
    try:
        shared, put = make(manager)
        put(0)
        gc.collect()
        pids = (os.getpid(), manager._process.pid)
        before = sum(map(proportional_set_size, pids))
        for number in range(1, entries):
            put(number)
        gc.collect()
        return (sum(map(proportional_set_size, pids)) - before) / entries
    finally:
        del shared, put
        manager.shutdown()


def make_list(manager):
    """An empty list, and how one more int gets into it."""
    shared = manager.list()
    return shared, lambda number: shared.append(number + 1000)


def make_dict(manager):
    """An empty dict, and how one more int gets into it."""
    shared = manager.dict()
    return shared, lambda number: shared.__setitem__(number + 1000, number + 1000)


def memory(sides: Iterable[str], entries: int) -> list[dict]:
    """Bytes per entry of a list and of a dict of ints.

    Each is measured in a process of its own: in this one, memory that earlier measurements have
    freed would hide what is taken.
    """
    results = []
    for name in MAKERS:
        command = [sys.executable, __file__, name, str(entries)]
        grew = {
            side: float(subprocess.run([*command, side], stdout=subprocess.PIPE, check=True).stdout)
            for side in sides
        }
        results.append({"name": name, "sides": {side: summary([grew[side]]) for side in grew}})
    return results


MAKERS = {"list": make_list, "dict": make_dict}


def started(side: str):
    """A manager of the stock kind or of ours."""
    if side == "stock":
        return multiprocessing.Manager()
    import coheld

    return coheld.Manager()


if __name__ == "__main__":
    kind, count, manager_side = sys.argv[1:]
    print(grown(lambda: started(manager_side), MAKERS[kind], int(count)))
