"""The whole matrix: every server with every client, over every family of addresses.

    python -m interop.matrix            Coheld with stock, both directions; a table in Markdown
    python -m interop.matrix --stock    stock with stock, which proves the battery

Run in the folder `tests`; the Pythons that have Coheld are those in the project's `.venvs`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import sys
from pathlib import Path

from . import pythons, running

VENVS = Path(__file__).parents[2] / ".venvs"


def coheld_ends():
    return [running.End("coheld", *item) for item in pythons.coheld_pythons(VENVS).items()]


def pairs_of(stock, coheld, only_stock):
    """The pairs of a server and a client that are run."""
    if only_stock:
        return [(server, client) for server in stock for client in stock]
    pairs = [(server, client) for server in coheld for client in stock + coheld]
    return pairs + [(server, client) for server in stock for client in coheld]


def run(server, client, family, options):
    """Run one pair over one family; what is wrong, how many results there are, and how long."""
    program = pythons.stock_pythons().get(client.version)
    if program is None:
        return [f"there is no plain Python {client.version} to compare with"], 0, 0
    steps = tuple(options.step)
    try:
        right = running.expected(client.version, program)
        result, status, server_errors = running.run_pair(
            server,
            client,
            family,
            how=options.how,
            own_keys=not options.no_own_keys,
            short=options.short,
            steps=steps,
        )
    except (AssertionError, RuntimeError) as error:
        return [str(error)], 0, 0
    wrong = running.problems(result, status, right)
    if wrong and options.traces:
        wrong += ["client: " + result.errors, "server: " + server_errors]
    return wrong, len(result.results), result.seconds


def cell(outcomes, times):
    """What is said of the runs of a pair in the table: how many results are right, or what is not.

    `outcomes` has what `run` returns, by the family.
    """
    bad = [f"{family}: {len(wrong)}" for family, (wrong, _, _) in outcomes.items() if wrong]
    if bad:
        return "**wrong: " + ", ".join(bad) + "**"
    counts = {count for _, count, _ in outcomes.values()}
    text = " ".join(map(str, sorted(counts)))
    if times:
        text += " in " + ", ".join(f"{seconds:.1f}" for _, _, seconds in outcomes.values()) + " s"
    return text


def read_arguments():
    arguments = argparse.ArgumentParser(prog="interop.matrix", description=__doc__.split("\n")[0])
    arguments.add_argument("--stock", action="store_true", help="stock with stock")
    arguments.add_argument("--short", action="store_true", help="only the short steps")
    arguments.add_argument("--traces", action="store_true", help="what the programs wrote, too")
    arguments.add_argument("--times", action="store_true", help="how long each run took")
    arguments.add_argument("--no-own-keys", action="store_true", help="managers alone have keys")
    arguments.add_argument("--how", choices=("serve", "start"), default="serve")
    arguments.add_argument("--family", action="append", choices=running.FAMILIES)
    arguments.add_argument("--server", default="", help="only servers whose name has this in it")
    arguments.add_argument("--client", default="", help="only clients whose name has this in it")
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--step", action="append", default=[])
    return arguments.parse_args()


def main():
    options = read_arguments()
    families = tuple(options.family or running.FAMILIES)
    pairs = [
        (server, client)
        for server, client in pairs_of(running.stock_ends(), coheld_ends(), options.stock)
        if options.server in str(server) and options.client in str(client)
    ]
    servers = sorted({server for server, _ in pairs})
    clients = sorted({client for _, client in pairs}, reverse=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as executor:
        futures = {
            pair: {family: executor.submit(run, *pair, family, options) for family in families}
            for pair in pairs
        }
        print("| server, client: | " + " | ".join(map(str, clients)) + " |")
        print("|---|" + "---|" * len(clients))
        for server in servers:
            row = []
            for client in clients:
                running_ones = futures.get((server, client), {})
                outcomes = {family: future.result() for family, future in running_ones.items()}
                row.append(cell(outcomes, options.times) if outcomes else "-")
                for family, (wrong, _, _) in outcomes.items():
                    failed += bool(wrong)
                    for line in wrong:
                        print(f"{server} {client} {family}: {line[:2000]}", file=sys.stderr)
            print(f"| {server} | " + " | ".join(row) + " |", flush=True)
    runs = sum(map(len, futures.values()))
    print(f"{failed} of {runs} runs went wrong", file=sys.stderr)
    return 1 if failed or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
