"""A client of a manager: client.py stock|coheld --address JSON, runs steps and tells the results.

One line of JSON for each result. The expected ones are those of the standard library's client of
the same Python with the standard library's server.
"""

from __future__ import annotations

import multiprocessing
import sys
import time

import battery
import ends
import steps_classes  # noqa: F401
import steps_containers  # noqa: F401
import steps_counts  # noqa: F401
import steps_ending  # noqa: F401
import steps_pools  # noqa: F401
import steps_processes  # noqa: F401
import steps_proxies  # noqa: F401
import steps_values  # noqa: F401
import steps_waiting  # noqa: F401
import steps_xmlrpc  # noqa: F401


def version(text):
    """3.11 as a tuple of numbers."""
    return tuple(int(part) for part in text.split("."))


def main():
    arguments = ends.parser(__doc__)
    arguments.add_argument("--short", action="store_true", help="only those steps that are short")
    arguments.add_argument(
        "--level", type=version, default=ends.NEWEST, help="use what this version of Python has"
    )
    arguments.add_argument("--step", action="append", help="its name; without any all of them")
    arguments.add_argument("--without", action="append", default=[], help="a step's name")
    given = arguments.parse_args()
    ends.watch(given.seconds)
    managers = ends.import_managers(given.subject)
    address = ends.address_from_json(given.address)
    if not given.no_own_key:
        multiprocessing.current_process().authkey = given.key
    began = time.monotonic()
    manager = ends.connecting(managers)(
        address=address, authkey=given.key, serializer=given.serializer
    )
    manager.connect()
    world = battery.World(managers, manager, address, given.key, given.serializer)
    battery.run(
        world,
        [
            step
            for step in battery.chosen(given.short, given.level, given.serializer, given.step)
            if step.name not in given.without
        ],
        ends.tell,
    )
    ends.tell(
        seconds=round(time.monotonic() - began, 3),
        python=sys.version_info[:3],
        coheld="coheld" in sys.modules,
    )


if __name__ == "__main__":
    main()
