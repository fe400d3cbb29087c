"""Measuring: alternating rounds, so that a slow minute of the machine hits every side alike."""

from __future__ import annotations

import statistics
import timeit

from operations import Operation


class Sampler:
    """One operation on one kind of manager, ready to be timed again and again."""

    def __init__(self, operation: Operation, manager, seconds_per_sample: float) -> None:
        self.operation = operation
        self.names: dict = {"manager": manager}
        exec(operation.setup, self.names)
        self.available = bool(eval(operation.needs, self.names))
        if self.available:
            self.timer = timeit.Timer(operation.statement, globals=self.names)
            self.runs = self._calibrate(seconds_per_sample)

    def _time(self, runs: int) -> float:
        # timeit switches the garbage collector off while the statement runs.
        seconds = self.timer.timeit(runs)
        exec(self.operation.reset, self.names)
        return seconds

    def _calibrate(self, seconds_per_sample: float) -> int:
        """How many runs of the statement make one sample; also warms everything up."""
        runs = 1
        while True:
            seconds = self._time(runs)
            if seconds >= seconds_per_sample / 4 or runs >= self.operation.longest:
                wanted = int(runs * seconds_per_sample / max(seconds, 1e-9))
                return max(1, min(wanted, self.operation.longest))
            runs = min(runs * 4, self.operation.longest)

    def sample(self) -> float:
        """Seconds that one operation took, on the average of one sample."""
        return self._time(self.runs) / self.runs / self.operation.per_statement


def measure(operation: Operation, managers: dict, rounds: int, seconds_per_sample: float) -> dict:
    """Seconds per operation for each side, as made by `summary`."""
    samplers = {}
    for side, manager in managers.items():
        if side == "local" and not operation.local:
            continue
        sampler = Sampler(operation, manager, seconds_per_sample)
        if sampler.available:
            samplers[side] = sampler
    samples: dict[str, list[float]] = {side: [] for side in samplers}
    for _ in range(rounds):
        for side, sampler in samplers.items():
            samples[side].append(sampler.sample())
    return {side: summary(values) for side, values in samples.items()}


def summary(samples: list[float]) -> dict:
    """The figures that are kept of a series of samples."""
    return {"median": statistics.median(samples), "min": min(samples), "samples": samples}
