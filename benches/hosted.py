"""A class that is registered with both kinds of managers, and measurements of calls to it."""

from __future__ import annotations

import time

from measure import summary
from processes import total_rate

CALLS_BETWEEN_CLOCK_READS = 20
SECONDS_OF_WORK = 20e-6


class Counter:
    """What programs register: a little state and methods that change it."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, number: int) -> int:
        self.count += number
        return self.count

    def echo(self, value):
        return value


def manager_class(base: type) -> type:
    """A manager class that knows `Counter`."""

    class CounterManager(base):
        pass

    CounterManager.register("Counter", Counter)
    return CounterManager


def work(seconds: float) -> None:
    """What a client does between two calls."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def call_and_work_until(counter, deadline: float, connection) -> None:
    """The same for a client that has something to do of its own."""
    call_until(counter, deadline, connection, lambda: work(SECONDS_OF_WORK))


def call_until(counter, deadline: float, connection, between=None) -> None:
    """One client: calls the counter until the deadline, then reports how often it did."""
    calls = 0
    add = counter.add
    add(1)
    connection.send("ready")
    begin = connection.recv()
    end = begin + deadline
    while time.monotonic() < begin:
        pass
    while time.monotonic() < end:
        for _ in range(CALLS_BETWEEN_CLOCK_READS):
            add(1)
            if between:
                between()
        calls += CALLS_BETWEEN_CLOCK_READS
    connection.send((calls, time.monotonic() - begin))
    connection.close()


def clients(
    context, managers: dict, client, numbers: tuple, rounds: int, seconds: float
) -> list[dict]:
    """Seconds per call of several clients of one object together, for several numbers of them."""
    results = []
    for number in numbers:
        samples: dict[str, list[float]] = {side: [] for side in managers}
        for _ in range(rounds):
            for side, manager in managers.items():
                counter = manager.Counter()
                rate = total_rate(context, client, counter, number, seconds)
                samples[side].append(1 / rate)
        sides = {side: summary(values) for side, values in samples.items()}
        results.append({"clients": number, "sides": sides})
    return results
