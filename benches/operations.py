"""The operations that are measured, each written once and run on every kind of manager.

An operation is a piece of set-up code and a statement, in the form `timeit` takes. Both see the
name `manager`: a stock manager, a Coheld manager, or `Local`, which makes ordinary Python objects
of this process and so shows the physical limit.
"""

from __future__ import annotations

import dataclasses
import multiprocessing.managers

MEBIBYTE = 1 << 20


class Local:
    """Ordinary objects of this process under a manager's names."""

    list = list
    dict = dict
    Value = multiprocessing.managers.Value


@dataclasses.dataclass(frozen=True)
class Operation:
    """What is measured, and how many times faster than the stock manager it has to be."""

    name: str
    statement: str
    target: float | None
    setup: str = "pass"
    per_statement: int = 1
    """How many single operations one run of the statement counts as."""
    reset: str = "pass"
    """Runs after each timing, outside of it."""
    longest: int = 1_000_000
    """At most this many runs in one timing, where each of them leaves something."""
    local: bool = False
    """Whether the same statement on an ordinary local object is a fair comparison."""
    needs: str = "True"
    """An expression that says, after the set-up, whether this manager can do it at all."""


OPERATIONS = (
    Operation(
        "list get",
        "shared[50]",
        300,
        setup="shared = manager.list(range(100))",
        local=True,
    ),
    Operation(
        "Value get",
        "shared.value",
        300,
        setup="shared = manager.Value('i', 7)",
        local=True,
    ),
    Operation(
        "dict get, str key",
        "shared['key 50']",
        150,
        setup="shared = manager.dict({f'key {n}': n for n in range(100)})",
        local=True,
    ),
    Operation(
        "dict set, str key",
        "shared['key 50'] = 7",
        120,
        setup="shared = manager.dict({f'key {n}': n for n in range(100)})",
        local=True,
    ),
    Operation(
        "list append",
        "shared.append(7)",
        200,
        setup="shared = manager.list()",
        reset="del shared[:]",
        local=True,
    ),
    Operation(
        "list set item",
        "shared[50] = 7",
        200,
        setup="shared = manager.list(range(100))",
        local=True,
    ),
    Operation(
        "bytes of 1 MiB, get",
        "shared['blob']",
        8,
        setup=f"shared = manager.dict(blob=bytes({MEBIBYTE}))",
    ),
    Operation(
        "bytes of 1 MiB, set",
        "shared['blob'] = blob",
        8,
        setup=f"shared = manager.dict(); blob = bytes({MEBIBYTE})",
    ),
    Operation(
        "iterate 10,000 items",
        "for item in shared: pass",
        200,
        setup="shared = manager.list(range(10_000))",
    ),
    Operation(
        "build a dict of 100,000",
        "manager.dict(entries)",
        2,
        setup="entries = {n: n for n in range(100_000)}",
    ),
    Operation(
        "copy to a dict of 100,000",
        "shared.copy()",
        2,
        setup="shared = manager.dict({n: n for n in range(100_000)})",
    ),
    Operation(
        "Lock acquire and release",
        "acquire(); release()",
        250,
        setup="lock = manager.Lock(); acquire, release = lock.acquire, lock.release",
        needs="hasattr(manager, 'Lock')",
    ),
    Operation(
        "RLock in a with statement",
        "with lock: pass",
        None,
        setup="lock = manager.RLock()",
        needs="hasattr(manager, 'RLock')",
    ),
    Operation(
        "Semaphore acquire and release",
        "acquire(); release()",
        None,
        setup="lock = manager.Semaphore(4); acquire, release = lock.acquire, lock.release",
        needs="hasattr(manager, 'Semaphore')",
    ),
    Operation(
        "Event is_set",
        "event.is_set()",
        None,
        setup="event = manager.Event()",
        needs="hasattr(manager, 'Event')",
    ),
    Operation(
        "Queue put and get",
        "put(1); get()",
        100,
        setup="queue = manager.Queue(); put, get = queue.put, queue.get",
        needs="hasattr(manager, 'Queue')",
    ),
    Operation(
        "counter increment, safe",
        "increment()",
        300,
        # The stock manager has no increment: safe there means under a lock.
        setup="""
import multiprocessing.managers
shared = manager.Value('i', 0)
increment = getattr(shared, 'increment', None)
if increment is None and isinstance(manager, multiprocessing.managers.BaseManager):
    lock = manager.Lock()
    def increment():
        with lock:
            shared.value += 1
""",
        needs="increment is not None",
    ),
    Operation(
        "read through 3 nested proxies",
        "shared[0]['inner'][1]",
        300,
        setup="shared = manager.list([manager.dict(inner=manager.list([1, 2, 3]))])",
    ),
    Operation("create and drop a list", "manager.list()", 100),
    Operation(
        "method of a hosted object",
        "add(1)",
        25,
        setup="counter = manager.Counter(); add = counter.add",
        needs="hasattr(manager, 'Counter')",
    ),
    Operation(
        "hosted method, list of 100 there and back",
        "echo(items)",
        None,
        setup="counter = manager.Counter(); echo = counter.echo; items = list(range(100))",
        needs="hasattr(manager, 'Counter')",
    ),
    Operation(
        "hosted method, 1 MiB there and back",
        "echo(blob)",
        None,
        setup=f"counter = manager.Counter(); echo = counter.echo; blob = bytes({MEBIBYTE})",
        needs="hasattr(manager, 'Counter')",
    ),
    Operation(
        "first hosted call of a thread",
        "thread = Thread(target=add, args=(1,)); thread.start(); thread.join()",
        1,
        setup="from threading import Thread; counter = manager.Counter(); add = counter.add",
        needs="hasattr(manager, 'Counter')",
        longest=500,
    ),
    Operation(
        "create and drop a hosted object",
        "manager.Counter()",
        1,
        needs="hasattr(manager, 'Counter')",
        longest=2_000,
    ),
)
