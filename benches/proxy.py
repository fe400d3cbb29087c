"""Measure calls of an object of another process: Coheld's proxies beside those of other systems.

    python benches/proxy.py [--quick] [--json FILE]

The same object is served by Coheld's `ProxyServer`, by Duck's, by the standard library's manager,
by RPyC and by Pyro5, each in a process of its own with a client of its own; what is not installed
is left out (`pip install duckframework rpyc Pyro5`). The systems take turns in short rounds; the
table shows the median and the 99th percentile of a call, and how many times slower than Coheld's
the median is.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import signal
import statistics
import sys
import time

FORK = multiprocessing.get_context("fork")

OPERATIONS = {
    "get an attribute": lambda maths: maths.number,
    "call a method": lambda maths: maths.add(1, 2),
    "call a method, 1 kB back": lambda maths: maths.text(1000),
}


class Maths:
    """What is called."""

    def __init__(self) -> None:
        self.number = 100

    def add(self, x, y):
        return x + y

    def text(self, size):
        return "x" * size

    def get_number(self):
        return self.number


class View:
    """For systems that have methods only."""

    number = property(lambda self: self.get_number())

    def __init__(self, proxy) -> None:
        self.get_number, self.add, self.text = proxy.get_number, proxy.add, proxy.text


def serve_coheld(report):
    from coheld.proxy import ProxyServer

    server = ProxyServer(4096)
    server.run()
    report(server.create_proxy(Maths()))


def use_coheld(proxy):
    return proxy


def serve_duck(report):
    from duck.utils.multiprocessing.proxy import ProxyServer

    server = ProxyServer(4096)
    server.run()
    proxy = server.create_proxy(Maths())
    # Its proxies do not pickle: the name and the id are what there is of one.
    report((proxy.shared_memory_name, proxy.idx))


def use_duck(where):
    from duck.utils.multiprocessing.proxy import Proxy

    name, idx = where
    proxy = object.__new__(Proxy)
    for attribute, value in {
        "idx": idx,
        "target_obj_str": "Maths",
        "shared_memory_name": name,
        "_sm": None,
        "_bufsize": 4096,
        "_server_running": True,
        "_close_on_delete": False,
        "_chain_level": 0,
        "_proxy_chaining_max_level": 7,
        "_last_error": None,
    }.items():
        object.__setattr__(proxy, attribute, value)
    return proxy


def serve_stock(report):
    from multiprocessing.managers import BaseManager

    class Manager(BaseManager):
        pass

    Manager.register("Maths", Maths, exposed=["add", "text", "get_number"])
    server = Manager(authkey=b"key").get_server()
    report(server.address)
    server.serve_forever()


def use_stock(address):
    from multiprocessing.managers import BaseManager

    class Manager(BaseManager):
        pass

    Manager.register("Maths")
    manager = Manager(address=address, authkey=b"key")
    manager.connect()
    return View(manager.Maths())


def serve_rpyc(report):
    import rpyc
    from rpyc.utils.server import ThreadedServer

    class Service(rpyc.Service):
        exposed_maths = Maths()

    options = {"allow_public_attrs": True}
    server = ThreadedServer(Service, hostname="127.0.0.1", port=0, protocol_config=options)
    report(server.port)
    server.start()


def use_rpyc(port):
    import rpyc

    connection = rpyc.connect("127.0.0.1", port)
    # It closes when the connection goes.
    use_rpyc.connection = connection
    return connection.root.maths


def serve_pyro(report):
    import Pyro5.api

    daemon = Pyro5.api.Daemon(host="127.0.0.1", port=0)
    uri = daemon.register(Pyro5.api.expose(Maths)())
    report(str(uri))
    daemon.requestLoop()


def use_pyro(uri):
    import Pyro5.api

    return View(Pyro5.api.Proxy(uri))


#: What serves, what uses, and which package has to be there.
SYSTEMS = {
    "Coheld": (serve_coheld, use_coheld, "coheld"),
    "stock manager": (serve_stock, use_stock, "multiprocessing"),
    "RPyC": (serve_rpyc, use_rpyc, "rpyc"),
    "Pyro5": (serve_pyro, use_pyro, "Pyro5"),
    "Duck": (serve_duck, use_duck, "duck"),
}


def be_server(serve, pipe):
    serve(pipe.send)
    signal.pause()


def be_client(use, pipe):
    """Runs an operation for some time when told to; sends the seconds of each call back."""
    maths = use(pipe.recv())
    while True:
        name, seconds = pipe.recv()
        operation = OPERATIONS[name]
        times = []
        end = time.perf_counter() + seconds
        while not times or time.perf_counter() < end:
            begun = time.perf_counter()
            operation(maths)
            times.append(time.perf_counter() - begun)
        pipe.send(times)


class Pair:
    """A server and its client."""

    def __init__(self, serve, use):
        where, theirs = FORK.Pipe()
        self.server = FORK.Process(target=be_server, args=(serve, theirs), daemon=True)
        self.server.start()
        self.pipe, theirs = FORK.Pipe()
        self.client = FORK.Process(target=be_client, args=(use, theirs), daemon=True)
        self.client.start()
        self.pipe.send(where.recv())

    def run(self, name, seconds):
        self.pipe.send((name, seconds))
        return self.pipe.recv()

    def end(self):
        for process in (self.client, self.server):
            process.kill()
            process.join()


def percentile(times, part):
    times = sorted(times)
    return times[min(len(times) - 1, int(part * len(times)))]


def measure(rounds, seconds):
    """Seconds of each call, by system and operation."""
    pairs = {
        system: Pair(serve, use)
        for system, (serve, use, package) in SYSTEMS.items()
        if importlib.util.find_spec(package)
    }
    found = {system: {name: [] for name in OPERATIONS} for system in pairs}
    try:
        for pair in pairs.values():
            for name in OPERATIONS:
                pair.run(name, 0.05)
        for _ in range(rounds):
            for name in OPERATIONS:
                for system, pair in pairs.items():
                    found[system][name] += pair.run(name, seconds)
    finally:
        for pair in pairs.values():
            pair.end()
    return found


def table(found):
    """Rows of figures in microseconds."""
    for name in OPERATIONS:
        base = statistics.median(found["Coheld"][name])
        for system in found:
            times = found[system][name]
            median = statistics.median(times)
            yield {
                "operation": name,
                "system": system,
                "median": median * 1e6,
                "p99": percentile(times, 0.99) * 1e6,
                "ratio": median / base,
            }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    rows = list(table(measure(3 if options.quick else 12, 0.2 if options.quick else 0.4)))
    print(f"{'operation':28}{'system':16}{'median us':>12}{'p99 us':>12}{'times Coheld':>14}")
    for row in rows:
        print(
            f"{row['operation']:28}{row['system']:16}{row['median']:12.1f}{row['p99']:12.1f}"
            f"{row['ratio']:14.1f}"
        )
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"python": sys.version.split()[0], "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
