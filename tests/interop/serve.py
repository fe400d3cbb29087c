"""A manager's server: serve.py stock|coheld --address JSON, until its standard input is closed.

It tells its address in a line of JSON, and how it has ended in another one.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading

import ends


def wait_for_the_end():
    """Wait until whoever started this process closes its standard input, or is gone."""
    while os.read(0, 4096):
        pass


def end_with_input():
    wait_for_the_end()
    os._exit(3)  # Nobody has asked the server to end.


def serve(manager):
    """The server is this process."""
    server = manager.get_server()
    threading.Thread(target=end_with_input, daemon=True).start()
    ends.tell(address=ends.address_to_json(server.address), python=sys.version_info[:3])
    server.serve_forever()


def start(manager):
    """The server is a child of this process."""
    manager.start(ends.die_with_parent)
    ends.tell(address=ends.address_to_json(manager.address), python=sys.version_info[:3])
    wait_for_the_end()
    manager._process.join(5)
    exitcode = manager._process.exitcode
    manager.shutdown()
    ends.tell(exitcode=exitcode)


def main():
    arguments = ends.parser(__doc__)
    arguments.add_argument("--how", choices=("serve", "start"), default="serve")
    given = arguments.parse_args()
    ends.watch(given.seconds)
    managers = ends.import_managers(given.subject)
    if not given.no_own_key:
        # Proxies inside values find their key here; so Python's documentation has it.
        multiprocessing.current_process().authkey = given.key
    manager = ends.served(managers)(
        address=ends.address_from_json(given.address),
        authkey=given.key,
        serializer=given.serializer,
        ctx=multiprocessing.get_context("fork"),
    )
    {"serve": serve, "start": start}[given.how](manager)


if __name__ == "__main__":
    main()
