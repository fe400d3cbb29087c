"""Coheld's managers with clients of plain CPython, and the other way round; see `interop`.

Every result has to be the one that a client of the same Python gets from its own standard library's
manager. All runs of this module go on at once in a few threads: most of their time is waiting.
With COHELD_INTEROP=full, each pair runs all steps over each family of addresses; without, it runs
all steps over one family and the short ones over the others.
"""

from __future__ import annotations

import concurrent.futures
import os
import sys

import pytest
from interop import pythons, running
from subject import IS_STOCK

FULL = os.environ.get("COHELD_INTEROP") == "full"

#: How many runs go on at once.
AT_ONCE = 3

#: This Python with the module under test, and without Coheld.
OWN_VERSION = sys.version_info[:2]
SUBJECT = running.End("stock" if IS_STOCK else "coheld", OWN_VERSION, sys.executable)

STOCK = running.stock_ends()

#: The longest that the runs before one may take, and this one.
SECONDS = 600


def pairs():
    """The pairs of a server and a client, and over which family they run everything."""
    found = []
    for number, end in enumerate(STOCK):
        found.append((SUBJECT, end, running.FAMILIES[number % 3]))
        found.append((end, SUBJECT, running.FAMILIES[(number + 1) % 3]))
    found.append((SUBJECT, SUBJECT, "tcp"))
    return found


def own_python():
    """The plain Python of this version: what comes of its clients is what has to come of ours."""
    return pythons.stock_pythons().get(OWN_VERSION, sys.executable)


def run(server, client, family, short, how, serializer):
    """Run a pair; what is not as it has to be."""
    program = own_python() if client is SUBJECT else client.program
    right = running.expected(client.version, program, serializer)
    result, status, server_errors = running.run_pair(
        server, client, family, short=short, how=how, serializer=serializer
    )
    wrong = running.problems(result, status, right)
    if len(result.results) < 10:
        wrong.append(f"only {len(result.results)} results")
    if result.used_coheld != (client.subject == "coheld"):
        wrong.append("the client has imported Coheld, or has not")
    if wrong:
        wrong += ["---- client ----", result.errors, "---- server ----", server_errors]
    return wrong


def cases():
    found = []
    for server, client, everything in pairs():
        for family in running.FAMILIES:
            short = family != everything and not FULL
            # Two ways to serve, both of them with everything in turn.
            how = "start" if family == "path" and server is SUBJECT else "serve"
            found.append((server, client, family, short, how, "pickle"))
        if server is not client:
            found.append((server, client, everything, False, "serve", "xmlrpclib"))
    return found


def name(case):
    server, client, family, short, _how, serializer = case
    what = serializer if serializer != "pickle" else "short" if short else "all"
    return f"{server}-{client}-{family}-{what}"


@pytest.fixture(scope="module")
def runs(request):
    """What comes of the cases that are to be tested, by their arguments."""
    wanted = [
        item.callspec.params["case"]
        for item in request.session.items
        if item.module is request.module and hasattr(item, "callspec")
    ]
    executor = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
    try:
        yield {case: executor.submit(run, *case) for case in wanted}
    finally:
        executor.shutdown(cancel_futures=True)


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("case", cases(), ids=name)
def test_pair(case, runs):
    wrong = runs[case].result()
    if wrong:
        pytest.fail("\n".join([name(case), *wrong]), pytrace=False)
