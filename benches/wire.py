"""Measure the wire: clients and servers in every pairing, over connections, in one run.

    python benches/wire.py [--quick] [--only TEXT] [--family tcp|unix] [--json FILE]
                           [--pairs PAIR ...]

A server and a client of each kind are processes of their own, and so is each pairing's client.
Coheld's client is kept from the memory of Coheld's server, as if it were on another machine. Each
operation runs on all pairs in alternating rounds; the table shows medians, and how many times
faster than the standard library at both ends a pair is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import traceback

import plot
from measure import Sampler, summary
from operations import Operation
from run import machine, write

KEY = b"the key of the benchmark"
MEBIBYTE = 1 << 20

#: The client and the server of each pair, the one to compare with first.
PAIRS = {
    "stock": ("stock", "stock"),
    "coheld": ("coheld", "coheld"),
    "stock client": ("stock", "coheld"),
    "coheld client": ("coheld", "stock"),
}

OPERATIONS = (
    Operation("list get", "shared[50]", 1, setup="shared = manager.list(range(100))"),
    Operation(
        "queue put and get",
        "put(1); get()",
        1,
        setup="queue = manager.Queue(); put, get = queue.put, queue.get",
    ),
    Operation("create and drop a list", "manager.list()", 1),
    Operation(
        "put and get 49 kB",
        "put(blob); get()",
        1,
        setup="queue = manager.Queue(); put, get = queue.put, queue.get; blob = bytes(49_000)",
    ),
    Operation(
        "put and get 1 MiB",
        "put(blob); get()",
        1,
        setup=f"queue = manager.Queue(); put, get = queue.put, queue.get; blob = bytes({MEBIBYTE})",
    ),
    Operation(
        "iterate over a list of 10,000",
        "for item in shared: pass",
        1,
        setup="shared = manager.list(range(10_000))",
    ),
    Operation(
        "iterate over a dict of 1,000",
        "for key in shared: pass",
        1,
        setup="shared = manager.dict({n: n for n in range(1_000)})",
    ),
    Operation(
        "update of 100,000 entries",
        "shared.update(entries)",
        1,
        setup="shared = manager.dict(); entries = {n: n for n in range(100_000)}",
    ),
    Operation("number of objects", "count()", 1, setup="count = manager._number_of_objects"),
    Operation("connect a manager", "connect()", 1, setup="connect = type(manager).connect_one"),
    Operation(
        "first call of a thread",
        "thread = Thread(target=get, args=(50,)); thread.start(); thread.join()",
        1,
        setup="from threading import Thread; get = manager.list(range(100)).__getitem__",
        longest=200,
    ),
    Operation(
        "fork a child with 100 proxies",
        "child = context.Process(target=get, args=(0,)); child.start(); child.join()",
        1,
        setup="""
import multiprocessing
context = multiprocessing.get_context("fork")
proxies = [manager.list([1]) for _ in range(100)]
get = proxies[0].__getitem__
""",
        longest=20,
    ),
)


def manager_class(kind: str) -> type:
    """The managers of the standard library or Coheld's."""
    if kind == "stock":
        from multiprocessing.managers import SyncManager as base
    else:
        from coheld.managers import SyncManager as base

    class Manager(base):
        pass

    return Manager


def serve(kind: str, address, pipe) -> None:
    """A server, until it is killed."""
    server = manager_class(kind)(address=address, authkey=KEY).get_server()
    pipe.send(server.address)
    server.serve_forever()


def be_client(kind: str, address, pipe) -> None:
    """A client: prepares an operation, runs it when told to, and forgets it."""
    os.environ["COHELD_ROUTE"] = "wire"
    Manager = manager_class(kind)

    def connect_one():
        manager = Manager(address=address, authkey=KEY)
        manager.connect()
        return manager

    Manager.connect_one = staticmethod(connect_one)
    multiprocessing.current_process().authkey = KEY
    manager = connect_one()
    sampler = None
    while True:
        order = pipe.recv()
        try:
            if order == "sample":
                answer = sampler.sample()
            else:
                sampler = None
                if order is not None:
                    operation, seconds = order
                    sampler = Sampler(operation, manager, seconds)
                answer = None
        except Exception:
            answer = traceback.format_exc()
        pipe.send(answer)


class Ends:
    """The servers and the clients: processes that end with this object."""

    def __init__(self, pairs, family: str) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._stack = contextlib.ExitStack()
        self.clients: dict = {}
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wire-"))
            self._stack = stack
            servers: dict = {}
            for name in pairs:
                client, server = PAIRS[name]
                if server not in servers:
                    path = os.path.join(folder, server)
                    address = ("127.0.0.1", 0) if family == "tcp" else path
                    servers[server] = self._start(serve, server, address).recv()
                self.clients[name] = self._start(be_client, client, servers[server])
            self._stack = stack.pop_all()

    def _start(self, target, *arguments):
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=target, args=(*arguments, theirs))
        process.start()
        theirs.close()
        self._stack.callback(process.join)
        self._stack.callback(process.kill)
        return ours

    def ask(self, name: str, order):
        """Have the client of a pair do something, and return its answer."""
        pipe = self.clients[name]
        pipe.send(order)
        answer = pipe.recv()
        if isinstance(answer, str):
            raise RuntimeError(f"{name}:\n{answer}")
        return answer

    def __enter__(self) -> Ends:
        return self

    def __exit__(self, *exception) -> None:
        self._stack.close()


def measure(ends: Ends, operation: Operation, rounds: int, seconds: float) -> dict:
    """Seconds per operation for each pair, as made by `summary`."""
    for name in ends.clients:
        ends.ask(name, (operation, seconds))
    samples: dict[str, list[float]] = {name: [] for name in ends.clients}
    for _ in range(rounds):
        for name in ends.clients:
            samples[name].append(ends.ask(name, "sample"))
    for name in ends.clients:
        ends.ask(name, None)
    return {name: summary(values) for name, values in samples.items()}


def show(row: dict) -> None:
    """Print a row: the time of each pair, and its ratio to the first one."""
    figures = [f"{row['name']:<32}"]
    for name, side in row["sides"].items():
        figures.append(f"{plot.duration(side['median']):>10}")
        figures.append(f"{plot.times(row['ratios'][name]):>8}" if name in row["ratios"] else "")
    print("".join(figures), flush=True)


def run(options) -> list[dict]:
    """All measurements, in the order of the table."""
    rounds, seconds = (3, 0.02) if options.quick else (9, 0.1)
    rows = []
    with Ends(options.pairs, options.family) as ends:
        heads = [
            f"{name:>10}" if not place else f"{name:>18}" for place, name in enumerate(ends.clients)
        ]
        print(f"{'operation':<32}{''.join(heads)}")
        for operation in OPERATIONS:
            if options.only and options.only not in operation.name:
                continue
            sides = measure(ends, operation, rounds, seconds)
            row = {"name": operation.name, "sides": sides, "ratios": {}}
            if "stock" in sides:
                stock = sides["stock"]["median"]
                row["ratios"] = {
                    name: stock / side["median"] for name, side in sides.items() if name != "stock"
                }
            show(row)
            rows.append(row)
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure connections to managers.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", metavar="TEXT", help="operations whose name contains TEXT")
    parser.add_argument("--family", choices=("tcp", "unix"), default="tcp")
    parser.add_argument(
        "--pairs", metavar="PAIR", nargs="+", choices=PAIRS, default=list(PAIRS), help="which pairs"
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    here = machine()
    print(
        f"{here['processor']}, {here['cores']} cores, Linux {here['kernel']}, "
        f"Python {here['python']}, {options.family}\n"
    )
    rows = run(options)
    if options.json:
        content = {"machine": here, "family": options.family, "rows": rows}
        write(options.json, json.dumps(content, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
