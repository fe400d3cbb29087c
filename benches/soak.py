"""Hours in minutes: a program of the demo's shape that runs on while its workers are killed.

    python benches/soak.py [--seconds 900] [--json FILE] [--plot FILE]

Four workers take source files from one queue and count their words into nested dicts; every now
and then one of them is killed and another takes its place. It goes in cycles: in each the dicts
grow from nothing, and in the end everything is dropped and what is left is looked at. What has to
come back to its start after each cycle (referents, blocks, members, descriptors) makes the program
fail if it does not; how long operations took is told, cycle by cycle, and drawn.
"""

from __future__ import annotations

import argparse
import bisect
import json
import mmap
import multiprocessing
import os
import random
import re
import signal
import statistics
import sys
import sysconfig
import tempfile
import threading
import time
import warnings

import coheld
from soak_plot import draw

FORK = multiprocessing.get_context("fork")
WORKERS = 4
SECONDS_PER_CYCLE = 10.0
MEAN_SECONDS_BETWEEN_KILLS = 0.25
#: Of the operations on dicts, one in so many is timed.
OPERATIONS_PER_SAMPLE = 16
#: For each file the log grows by its name, so many times.
REPEATS = 100
SECONDS_TO_SETTLE = 20
WORD = re.compile(r"[A-Za-z_]\w+")

#: Upper ends of the classes into which latencies are sorted, nanoseconds: eight to each doubling.
CLASSES = [int(64 * 2 ** (step / 8)) for step in range(8 * 24)]
#: What each worker has of its own in the file that all of them map: whether it is at work, and how
#: many latencies fell into each class.
RECORD = 1 + len(CLASSES) + 1


class Notes:
    """Counters in a mapped file: what a killed worker has written there stays."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)
        self.cells = memoryview(self.memory).cast("q")

    @classmethod
    def create(cls, path: str) -> Notes:
        with open(path, "wb") as file:
            file.truncate(WORKERS * RECORD * 8)
        return cls(path)

    def busy(self, worker: int, truth: bool) -> None:
        self.cells[worker * RECORD] = truth

    def anybody_busy(self) -> bool:
        return any(self.cells[worker * RECORD] for worker in range(WORKERS))

    def took(self, worker: int, nanoseconds: int) -> None:
        place = bisect.bisect_left(CLASSES, nanoseconds)
        self.cells[worker * RECORD + 1 + place] += 1

    def take_latencies(self) -> list[int]:
        """How many fell into each class; begins anew."""
        counts = [0] * (len(CLASSES) + 1)
        for worker in range(WORKERS):
            for place in range(len(counts)):
                cell = worker * RECORD + 1 + place
                counts[place] += self.cells[cell]
                self.cells[cell] = 0
        return counts


def percentile(counts: list[int], share: float) -> float:
    """Nanoseconds within which this share of the operations was done."""
    wanted, passed = share * sum(counts), 0
    for place, count in enumerate(counts):
        passed += count
        if count and passed >= wanted:
            return float(CLASSES[min(place, len(CLASSES) - 1)])
    return 0.0


def work(number: int, queue, current, lock, progress, path_of_notes: str) -> None:
    """One worker: takes files for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Locks of killed workers are free again, with a warning.
    warnings.simplefilter("ignore")
    notes, operations = Notes(path_of_notes), 0
    while True:
        path = queue.get()
        notes.busy(number, True)
        words, files, log = current["words"], current["files"], current["log"]
        with open(path, encoding="utf-8", errors="replace") as source:
            found = WORD.findall(source.read())
        for word in found:
            operations += 1
            if operations % OPERATIONS_PER_SAMPLE:
                words.increment(word)
                continue
            began = time.perf_counter_ns()
            words.increment(word)
            notes.took(number, time.perf_counter_ns() - began)
        files[path] = (len(found), "x" * (len(found) % 1000))
        log.append(path * REPEATS)
        with lock:
            progress.value += 1
        # Who waits for the next file holds nothing of this one.
        del words, files, log
        notes.busy(number, False)


def sources(limit: int) -> list[str]:
    """Files of the standard library, evenly taken."""
    folder = sysconfig.get_paths()["stdlib"]
    found = sorted(
        os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".py")
    )
    return found[:: max(len(found) // limit, 1)]


def resident(process: int) -> int:
    """Bytes that a process has in memory of its own; its part of the shared segment not counted."""
    with open(f"/proc/{process}/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["RssAnon"].split()[0]) * 1024


class Soak:
    def __init__(self, manager, folder: str, seed: int) -> None:
        self.manager, self.random = manager, random.Random(seed)
        self.path_of_notes = os.path.join(folder, "notes")
        self.notes = Notes.create(self.path_of_notes)
        self.paths = sources(60)
        # `words.increment` needs the true numbers of words, file by file, to be looked at later.
        self.truth = {path: self.count(path) for path in self.paths}
        self.queue, self.current = manager.Queue(WORKERS * 4), manager.dict()
        self.lock, self.progress = manager.Lock(), manager.Value("i", 0)
        self.killed = 0
        self.places = [self.start(number) for number in range(WORKERS)]
        self.at_rest: dict | None = None

    @staticmethod
    def count(path: str) -> int:
        with open(path, encoding="utf-8", errors="replace") as source:
            return len(WORD.findall(source.read()))

    def start(self, number: int):
        arguments = (self.queue, self.current, self.lock, self.progress, self.path_of_notes)
        process = FORK.Process(target=work, args=(number, *arguments), daemon=True)
        process.start()
        return process

    def kill_one(self) -> None:
        number = self.random.randrange(WORKERS)
        self.places[number].kill()
        self.places[number].join()
        self.places[number].close()
        self.notes.busy(number, False)
        self.places[number] = self.start(number)
        self.killed += 1

    def feed(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.queue.put(self.random.choice(self.paths))

    def cycle(self, seconds: float) -> dict:
        """Dicts grow, workers die; what is told of it."""
        manager = self.manager
        self.current.update(words=manager.dict(), files=manager.dict(), log=manager.list())
        stop = threading.Event()
        feeder = threading.Thread(target=self.feed, args=(stop,))
        feeder.start()
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                time.sleep(self.random.expovariate(1 / MEAN_SECONDS_BETWEEN_KILLS))
                self.kill_one()
        finally:
            stop.set()
            feeder.join()
        wait_until(lambda: self.queue.empty() and not self.notes.anybody_busy(), "workers at rest")
        self.check()
        grown = self.manager._statistics()
        self.current.clear()
        latencies = self.notes.take_latencies()
        return {
            "grown_bytes": grown["bytes"],
            "operations": sum(latencies) * OPERATIONS_PER_SAMPLE,
            "p50_ns": percentile(latencies, 0.5),
            "p99_ns": percentile(latencies, 0.99),
            "p999_ns": percentile(latencies, 0.999),
            "killed": self.killed,
            **self.rest(),
        }

    def check(self) -> None:
        """What workers have written is right, whoever was killed meanwhile."""
        files, total = self.current["files"].copy(), sum(self.current["words"].values())
        for path, entry in files.items():
            if entry != (self.truth[path], "x" * (self.truth[path] % 1000)):
                raise SystemExit(f"error: of {path} there is {entry[0]}, not {self.truth[path]}")
        if not files or total < max(self.truth[path] for path in files):
            raise SystemExit(f"error: {total} words of {len(files)} files are there")

    def rest(self) -> dict:
        """The figures when nothing is left to do; those that must come back, have."""
        pid = self.manager._process.pid

        def exact() -> dict:
            figures = self.manager._statistics()
            kept = {name: figures[name] for name in ("referents", "blocks", "members")}
            return {**kept, "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}

        if self.at_rest is None:
            time.sleep(1)
            self.at_rest = exact()
        wait_until(lambda: exact() == self.at_rest, lambda: f"{self.at_rest}, not {exact()}")
        figures = self.manager._statistics()
        return {
            "at_rest_bytes": figures["bytes"],
            "backed_bytes": figures["backed"],
            "manager_bytes": resident(pid),
        }

    def close(self) -> None:
        for process in self.places:
            process.kill()
            process.join()


def wait_until(condition, what) -> None:
    end = time.monotonic() + SECONDS_TO_SETTLE
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(
                f"error: after {SECONDS_TO_SETTLE} s not: {what() if callable(what) else what}"
            )
        time.sleep(0.02)


def thirds(cycles: list[dict], name: str) -> list[float]:
    """The medians of the first third and of the last: the same if nothing has changed."""
    third = max(len(cycles) // 3, 1)
    return [
        statistics.median(cycle[name] for cycle in part)
        for part in (cycles[:third], cycles[-third:])
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Work and kill for a long time; all stays flat.")
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--cycle", type=float, default=SECONDS_PER_CYCLE)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--json", help="where the figures go")
    parser.add_argument("--plot", help="where the picture goes (SVG)")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    cycles, began = [], time.monotonic()
    with coheld.Manager() as manager, tempfile.TemporaryDirectory() as folder:
        soak = Soak(manager, folder, options.seed)
        try:
            # The first cycle warms up: pools of memory and of threads find their size.
            soak.cycle(options.cycle / 2)
            while time.monotonic() - began < options.seconds:
                cycles.append({"at": time.monotonic() - began, **soak.cycle(options.cycle)})
                told = cycles[-1]
                print(
                    f"{told['at']:6.0f} s: {told['operations']:>10,} operations, "
                    f"p50 {told['p50_ns']:,.0f} ns, p99 {told['p99_ns'] / 1000:,.1f} us, "
                    f"p99.9 {told['p999_ns'] / 1000:,.1f} us, grown to "
                    f"{told['grown_bytes'] / 2**20:.1f} MiB, backed "
                    f"{told['backed_bytes'] / 2**20:.1f} MiB, {told['killed']} killed",
                    flush=True,
                )
        finally:
            soak.close()
    names = ("p50_ns", "p99_ns", "p999_ns", "grown_bytes", "backed_bytes", "manager_bytes")
    medians = {name: thirds(cycles, name) for name in names}
    print(
        f"{len(cycles)} cycles, {soak.killed} kills, "
        f"{sum(cycle['operations'] for cycle in cycles):,} operations on dicts; "
        "after each cycle everything as at the start; "
        f"medians of the first third and the last: {medians}"
    )
    result = {"seconds": options.seconds, "workers": WORKERS, "medians": medians, "cycles": cycles}
    if options.json:
        with open(options.json, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")
    if options.plot:
        with open(options.plot, "w") as file:
            file.write(draw(cycles, soak.killed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
