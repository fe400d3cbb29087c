"""A class that is registered with both kinds of managers, and measurements of calls to it."""

from __future__ import annotations

import time

from measure import summary
from processes import total_rate

CALLS_BETWEEN_CLOCK_READS = 20


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


def call_until(counter, deadline: float, connection) -> None:
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
        calls += CALLS_BETWEEN_CLOCK_READS
    connection.send((calls, time.monotonic() - begin))
    connection.close()


def clients(context, managers: dict, numbers: tuple, rounds: int, seconds: float) -> list[dict]:
    """Seconds per call of several clients of one object together, for several numbers of them."""
    results = []
    for number in numbers:
        samples: dict[str, list[float]] = {side: [] for side in managers}
        for _ in range(rounds):
            for side, manager in managers.items():
                counter = manager.Counter()
                rate = total_rate(context, call_until, counter, number, seconds)
                samples[side].append(1 / rate)
        sides = {side: summary(values) for side, values in samples.items()}
        results.append({"clients": number, "sides": sides})
    return results
