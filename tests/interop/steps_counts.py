"""Steps: how many objects there are, and who they are.

Before those that start processes: what a process has dropped after a fork, Coheld keeps for some
time, in case that a child has it.
"""

from __future__ import annotations

import gc
import pickle
import re
import time

from battery import step


def settled(manager, expected):
    """The number of objects once it is as expected, or what it is after ten seconds."""
    end = time.monotonic() + 10
    while True:
        gc.collect()
        count = manager._number_of_objects()
        if count == expected or time.monotonic() > end:
            return count
        time.sleep(0.02)


def steady(manager):
    """The number of objects once nothing of former steps goes away any more."""
    gc.collect()
    count, since = manager._number_of_objects(), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.05)
        fresh = manager._number_of_objects()
        if fresh != count:
            count, since = fresh, time.monotonic()
    return count


@step()
def counts(world):
    before = steady(world.manager)
    shared, inner = world.manager.list(), world.manager.Counter()
    yield settled(world.manager, before + 2) - before
    other = pickle.loads(pickle.dumps(shared))
    yield settled(world.manager, before + 2) - before
    del shared
    yield settled(world.manager, before + 2) - before, other[:]
    del other, inner
    yield settled(world.manager, before) - before


@step()
def debug_info(world):
    shared = world.manager.list(["find this"])
    text = world.manager._debug_info()
    found = re.search(rf"^  {shared._id}: +refcount=(\d+)\n    (.*)$", text, re.M)
    yield found.groups() if found else text
    yield type(text).__name__
