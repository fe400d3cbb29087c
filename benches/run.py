"""Measure Coheld against the stock manager in one run and print the ratios.

    python benches/run.py [--quick] [--only TEXT] [--json FILE] [--plot FILE]

Each operation runs on both in alternating rounds; the table shows medians, their ratio, the ratio
that is aimed at, and whether it was reached. Nothing here fails a build: a busy machine is no
error.
"""

from __future__ import annotations

import argparse
import datetime
import json
import multiprocessing
import multiprocessing.managers
import os
import platform
import sys

import hosted
import plot
import processes
from measure import measure
from operations import OPERATIONS, Local

CLIENTS = (1, 2, 4, 8)
CLIENTS_OF_TARGET = 4
TARGET_CONTENTION = 300
TARGET_LOCAL = 4
TARGET_QUEUE = 100
ENTRIES = 100_000
# Which rows the picture shows; "create" and "start" have a scale of their own.
PLOTTED = {
    "list get",
    "Value get",
    "dict get, str key",
    "dict set, str key",
    "list append",
    "list set item",
    "bytes of 1 MiB, get",
    "bytes of 1 MiB, set",
    "iterate 10,000 items",
    "build a dict of 100,000",
    "copy to a dict of 100,000",
    "read through 3 nested proxies",
    "create and drop a list",
    "method of a hosted object",
    "counter increment, safe",
    "Lock acquire and release",
    "Queue put and get",
    "Queue between two processes",
    "4 clients on one list",
}


def starters(context) -> dict:
    """How to start a manager of each kind; without Coheld installed only the stock one is left."""

    def starter(base: type):
        manager_class = hosted.manager_class(base)

        def start():
            manager = manager_class(ctx=context)
            manager.start()
            return manager

        return start

    found = {"stock": starter(multiprocessing.managers.SyncManager)}
    try:
        from coheld.managers import SyncManager
    except ImportError:
        print(
            "note: coheld is not installed here, so only the stock manager is measured "
            "(`make venv` builds and installs it)\n",
            file=sys.stderr,
        )
    else:
        found["coheld"] = starter(SyncManager)
    return found


class Table:
    """Prints a row as soon as it is measured, and keeps all of them."""

    def __init__(self) -> None:
        self.rows: list[dict] = []
        print(
            f"{'operation':<32}{'stock':>10}{'coheld':>10}{'ratio':>10}{'target':>9}  "
            f"{'':<8}{'min':>10}{'local':>10}"
        )

    def add(self, name: str, sides: dict, target: float | None, show=plot.duration) -> dict:
        """One comparison; `sides` as made by measure.summary, no target where none is set."""
        row = {"name": name, "target": target, "sides": sides}
        stock, coheld, local = (sides.get(side) for side in ("stock", "coheld", "local"))
        figures = [show(side["median"]) if side else "-" for side in (stock, coheld)]
        ratio = verdict = least = goal = "-"
        if stock and coheld:
            # A side that did not grow at all has nothing to be divided by.
            row["ratio"] = stock["median"] / max(coheld["median"], 1e-12)
            ratio, least = plot.times(row["ratio"]), show(coheld["min"])
            if target is not None:
                row["met"] = row["ratio"] >= target
                verdict = "met" if row["met"] else "NOT MET"
        beside = show(local["median"]) if local else ""
        if target is not None:
            goal = plot.times(target).replace(".0x", "x")
        print(
            f"{name:<32}{figures[0]:>10}{figures[1]:>10}{ratio:>10}{goal:>9}  "
            f"{verdict:<8}{least:>10}{beside:>10}",
            flush=True,
        )
        self.rows.append(row)
        return row


def run(options) -> list[dict]:
    """All measurements, in the order of the table."""
    context = multiprocessing.get_context("fork")
    start = starters(context)
    rounds, seconds = (3, 0.02) if options.quick else (9, 0.1)
    wanted = options.only or ""
    managers = {side: begin() for side, begin in start.items()}
    table = Table()
    try:
        for operation in OPERATIONS:
            if wanted in operation.name:
                sides = measure(operation, {**managers, "local": Local}, rounds, seconds)
                if "coheld" in sides or "coheld" not in managers:
                    table.add(operation.name, sides, operation.target)
        if wanted in "clients on one list":
            duration = 0.2 if options.quick else 0.5
            for result in processes.contention(context, managers, CLIENTS, rounds // 2, duration):
                number = result["clients"]
                table.add(
                    f"{number} client{'s' * (number > 1)} on one list",
                    result["sides"],
                    TARGET_CONTENTION if number == CLIENTS_OF_TARGET else None,
                )
        for name, client in (
            ("on one hosted object", hosted.call_until),
            ("on it, with work between", hosted.call_and_work_until),
        ):
            if wanted not in f"clients {name}":
                continue
            duration = 0.2 if options.quick else 0.5
            for result in hosted.clients(context, managers, client, (1, 4), rounds // 2, duration):
                number = result["clients"]
                table.add(f"{number} client{'s' * (number > 1)} {name}", result["sides"], 1)
        if "Queue" in wanted or not wanted:
            items = {"stock": 500, "coheld": 20_000}
            for result in processes.pipelines(context, managers, rounds // 2 + 1, items):
                target = TARGET_QUEUE if "between" in result["name"] else None
                table.add(result["name"], result["sides"], target)
    finally:
        for manager in managers.values():
            manager.shutdown()
    if wanted in "start a manager":
        table.add("start a manager, first get", processes.start_up(start, rounds * 2), 1)
    if wanted in "memory":
        entries = ENTRIES // 5 if options.quick else ENTRIES
        for result in processes.memory(list(start), entries):
            table.add(
                f"bytes per int in a {result['name']}",
                result["sides"],
                1,
                show=lambda size: f"{size:.0f} B",
            )
    return table.rows


def conclusions(rows: list[dict]) -> None:
    """What the table says, in two sentences."""
    decided = [row for row in rows if "met" in row]
    if decided:
        met = sum(row["met"] for row in decided)
        print(f"\n{met} of {len(decided)} targets met.")
    for row in rows:
        if row["name"] == "list get" and {"coheld", "local"} <= set(row["sides"]):
            ratio = row["sides"]["coheld"]["median"] / row["sides"]["local"]["median"]
            print(
                f"A shared list get takes {ratio:.1f} times as long as one of a local list "
                f"(aim: at most {TARGET_LOCAL})."
            )
    for what in ("on one hosted object", "on it, with work between"):
        together = {
            number: row["sides"]["coheld"]["median"]
            for row in rows
            for number in (1, 4)
            if row["name"].startswith(f"{number} client") and row["name"].endswith(what)
            if "coheld" in row["sides"]
        }
        if len(together) == 2:
            print(
                f"4 clients {what}: {together[1] / together[4]:.1f} times as many calls as 1 "
                "(aim: more than 1)."
            )


def machine() -> dict:
    """Where the figures come from."""
    model = "unknown processor"
    with open("/proc/cpuinfo") as information:
        for line in information:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
    }


def write(path: str, content: str) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    print(f"wrote {path}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure Coheld against multiprocessing.Manager.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", metavar="TEXT", help="operations whose name contains TEXT")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", metavar="FILE", help="write the picture (SVG) there")
    options = parser.parse_args(arguments)

    here = machine()
    print(
        f"{here['processor']}, {here['cores']} cores, Linux {here['kernel']}, "
        f"Python {here['python']}\n"
    )
    rows = run(options)
    conclusions(rows)
    if options.json:
        write(options.json, json.dumps({"machine": here, "rows": rows}, indent=1) + "\n")
    if options.plot:
        shown = [
            (row["name"], row["sides"]["stock"]["median"], row["sides"]["coheld"]["median"])
            for row in rows
            if row["name"] in PLOTTED and "ratio" in row
        ]
        if shown:
            subtitle = (
                f"{here['processor']}, {here['cores']} cores, Python {here['python']}, "
                "medians of one interleaved run"
            )
            write(options.plot, plot.draw(shown, subtitle))
        else:
            print("note: no picture, because there is nothing to compare", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
