"""Many clients of one proxy: no reply is lost, doubled, or another's.

    python tests/proxy_storm.py [--clients N ...] [--calls N]

Every call takes a value that nobody else has and expects it back; the object counts the calls. For
each number of clients there are as many calls altogether.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import time

from coheld.proxy import ProxyServer

FORK = multiprocessing.get_context("fork")


class Echo:
    """What is called."""

    def __init__(self) -> None:
        # Adding to a count is not one step; taking the next number is.
        self._numbers = itertools.count()

    def echo(self, value):
        next(self._numbers)
        return value

    def calls(self):
        return next(self._numbers)


def call(echo, name, count, pipe):
    """A client: calls, and reports how many replies were wrong."""
    wrong = 0
    for number in range(count):
        value = (name << 40) | number
        if echo.echo(value) != value:
            wrong += 1
    pipe.send(wrong)


def storm(clients, calls):
    """Return how many calls were made, how many arrived and how many replies were wrong."""
    with ProxyServer(200) as server:
        echo = server.create_proxy(Echo())
        count = calls // clients
        pipes, processes = [], []
        for name in range(clients):
            mine, theirs = FORK.Pipe(duplex=False)
            process = FORK.Process(target=call, args=(echo, name, count, theirs), daemon=True)
            process.start()
            theirs.close()
            pipes.append(mine)
            processes.append(process)
        wrong = sum(pipe.recv() for pipe in pipes)
        for process in processes:
            process.join()
        return clients * count, echo.calls(), wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[2, 50])
    parser.add_argument("--calls", type=int, default=10_000_000)
    options = parser.parse_args()
    failed = False
    for clients in options.clients:
        begun = time.monotonic()
        made, arrived, wrong = storm(clients, options.calls)
        seconds = time.monotonic() - begun
        print(
            f"{clients} clients: {made} calls in {seconds:.0f} s, {arrived} arrived, "
            f"{wrong} wrong replies",
            flush=True,
        )
        failed |= arrived != made or wrong > 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
