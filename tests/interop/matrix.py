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
    """Run one pair over one family; what is wrong, and how many results are right."""
    program = pythons.stock_pythons().get(client.version)
    if program is None:
        return [f"there is no plain Python {client.version} to compare with"], 0
    steps = tuple(options.steps)
    try:
        right = running.expected(client.version, program)
        result, status, server_errors = running.run_pair(
            server, client, family, how=options.how, short=options.short, steps=steps
        )
    except (AssertionError, RuntimeError) as error:
        return [str(error)], 0
    wrong = running.problems(result, status, right)
    if wrong and options.traces:
        wrong += ["client: " + result.errors, "server: " + server_errors]
    return wrong, f"{len(result.results)} ({result.seconds:.1f} s)"


def mark(outcomes, family):
    wrong, count = outcomes[family]
    return count if not wrong else "**{} wrong**".format(len(wrong))


def main():
    arguments = argparse.ArgumentParser(prog="interop.matrix", description=__doc__.split("\n")[0])
    arguments.add_argument("--stock", action="store_true", help="stock with stock")
    arguments.add_argument("--short", action="store_true", help="only the short steps")
    arguments.add_argument("--traces", action="store_true", help="what the programs wrote, too")
    arguments.add_argument("--how", choices=("serve", "start"), default="serve")
    arguments.add_argument("--family", action="append", choices=running.FAMILIES)
    arguments.add_argument("--server", default="", help="only servers whose name has this in it")
    arguments.add_argument("--client", default="", help="only clients whose name has this in it")
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("steps", nargs="*")
    options = arguments.parse_args()
    families = tuple(options.family or running.FAMILIES)
    pairs = [
        (server, client)
        for server, client in pairs_of(running.stock_ends(), coheld_ends(), options.stock)
        if options.server in str(server) and options.client in str(client)
    ]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as executor:
        futures = {
            (server, client, family): executor.submit(run, server, client, family, options)
            for server, client in pairs
            for family in families
        }
        print("| server | client | " + " | ".join(families) + " |")
        print("|---|---|" + "---|" * len(families))
        for server, client in pairs:
            outcomes = {family: futures[server, client, family].result() for family in families}
            marks = [mark(outcomes, family) for family in families]
            print("| {} | {} | {} |".format(server, client, " | ".join(marks)), flush=True)
            for family in families:
                for line in outcomes[family][0]:
                    print(f"{server} {client} {family}: {line[:2000]}", file=sys.stderr, flush=True)
                failed += bool(outcomes[family][0])
    print(f"{failed} of {len(futures)} runs went wrong", file=sys.stderr)
    return 1 if failed or not futures else 0


if __name__ == "__main__":
    sys.exit(main())
