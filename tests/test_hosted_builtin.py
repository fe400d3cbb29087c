"""The built-in proxy classes over objects of another process, beside those of the stock manager.

`register('get_list', callable=get_list, proxytype=ListProxy)` makes a ListProxy of a list that
lives in the manager process. It has to behave as stock's, which is asked for the same.
"""

from __future__ import annotations

import array
import multiprocessing
import multiprocessing.managers as stock

import pytest
import subject
from coheld import managers
from hosted_builtins import Ours, Theirs

pytestmark = pytest.mark.skipif(subject.IS_STOCK, reason="compares with the stock manager itself")


@pytest.fixture(scope="module")
def ours():
    with Ours(ctx=multiprocessing.get_context("fork")) as manager:
        yield manager


@pytest.fixture(scope="module")
def theirs():
    with Theirs(ctx=multiprocessing.get_context("fork")) as manager:
        yield manager


def shown(result):
    """A result without what differs from process to process."""
    if isinstance(result, (managers.BaseProxy, stock.BaseProxy)):
        return f"<{type(result).__name__}>"
    if hasattr(result, "__next__"):
        return [shown(item) for item in result]
    if isinstance(result, (set, frozenset)):
        return type(result).__name__, sorted(map(repr, result))
    return type(result).__name__, subject.without_addresses(repr(result))


def outcome(operation, target):
    try:
        return shown(operation(target))
    except Exception as problem:
        if isinstance(problem, stock.RemoteError):
            # The traceback has lines of the server.
            return "RemoteError"
        return type(problem).__name__, subject.without_addresses(str(problem))


def add_in_place(target, other):
    before = target
    target += other
    return target is before


def multiply_in_place(target, times):
    before = target
    target *= times
    return target is before


LIST = [
    lambda target: len(target),
    lambda target: target[0],
    lambda target: target[-1],
    lambda target: target[1:],
    lambda target: target[99],
    lambda target: target["x"],
    lambda target: list(target),
    lambda target: [*target],
    lambda target: list(reversed(target)),
    lambda target: 2 in target,
    lambda target: "none" in target,
    lambda target: bool(target),
    lambda target: target + [1],
    lambda target: target + 1,
    lambda target: target * 2,
    lambda target: 2 * target,
    lambda target: add_in_place(target, [8, 9]),
    lambda target: add_in_place(target, 5),
    lambda target: multiply_in_place(target, 2),
    lambda target: target.append([4]),
    lambda target: target.append(),
    lambda target: target.extend([5, 6]),
    lambda target: target.extend(range(3)),
    lambda target: target.insert(1, "x"),
    lambda target: target.insert(1),
    lambda target: target.pop(),
    lambda target: target.pop(0),
    lambda target: target.pop(99),
    lambda target: target.remove(2),
    lambda target: target.remove("none"),
    lambda target: target.index(3),
    lambda target: target.index(3, 0, 1),
    lambda target: target.count(3),
    lambda target: target.reverse(),
    lambda target: target[:],
    lambda target: target.__setitem__(0, "y"),
    lambda target: target.__setitem__(slice(0, 2), [1, 2, 3]),
    lambda target: target.__setitem__(99, 1),
    lambda target: target.__delitem__(0),
    lambda target: target.__delitem__(slice(0, 2)),
    lambda target: target.sort(key=repr),
    lambda target: target.sort(key=repr, reverse=True),
    lambda target: target.sort(5),
    lambda target: target[:],
    lambda target: target == target[:],
    lambda target: str(target),
    lambda target: repr(target),
    lambda target: target._getvalue(),
    lambda target: target._callmethod("__len__"),
    lambda target: target._callmethod("__eq__", ([],)),
    lambda target: target.copy() if hasattr(target, "copy") else target[:],
]

DICT = [
    lambda target: len(target),
    lambda target: target["a"],
    lambda target: target["none"],
    lambda target: target[[]],
    lambda target: "a" in target,
    lambda target: list(target),
    lambda target: dict(target),
    lambda target: target.keys(),
    lambda target: target.values(),
    lambda target: target.items(),
    lambda target: target.get("a"),
    lambda target: target.get("none"),
    lambda target: target.get("none", 5),
    lambda target: target.get(),
    lambda target: target.__setitem__("b", [1]),
    lambda target: target.__setitem__((1, frozenset()), 2),
    lambda target: target.__setitem__({}, 2),
    lambda target: target.__delitem__("b"),
    lambda target: target.__delitem__("none"),
    lambda target: target.pop("none", 3),
    lambda target: target.pop("none"),
    lambda target: target.setdefault("c", 4),
    lambda target: target.setdefault("c", 5),
    lambda target: target.update({"d": 6}, e=7),
    lambda target: target.update([("f", 8)]),
    lambda target: target.update(5),
    lambda target: target.copy(),
    lambda target: target.popitem(),
    lambda target: str(target),
    lambda target: repr(target),
    lambda target: target.clear(),
    lambda target: target.popitem(),
]

SET = [
    lambda target: len(target),
    lambda target: 1 in target,
    lambda target: sorted(target),
    lambda target: target | {3},
    lambda target: {3} | target,
    lambda target: target & {1},
    lambda target: target - {1},
    lambda target: {1, 5} - target,
    lambda target: target ^ {1, 9},
    lambda target: target.__or__([3]),
    lambda target: target <= {1, 2, 3},
    lambda target: target < {1},
    lambda target: target >= {1},
    lambda target: target > {1},
    lambda target: target.add(4),
    lambda target: target.add(frozenset([1])),
    lambda target: target.add([]),
    lambda target: target.discard(frozenset([1])),
    lambda target: target.remove("none"),
    lambda target: target.update([5, 6], {7}),
    lambda target: target.union([8], [9]),
    lambda target: target.difference([5]),
    lambda target: target.intersection([5]),
    lambda target: target.symmetric_difference([5]),
    lambda target: target.isdisjoint([99]),
    lambda target: target.issubset([1]),
    lambda target: target.issuperset([1]),
    lambda target: target.difference_update([5]),
    lambda target: target.symmetric_difference_update([1, 55]),
    lambda target: target.intersection_update([2, 55]),
    lambda target: target.copy(),
    lambda target: target.pop() in (2, 55),
    lambda target: target.clear(),
    lambda target: target.pop(),
]


class IntoTheVoid:
    """Cannot be pickled."""

    def __reduce__(self):
        raise TypeError("stays here")


NAMESPACE = [
    lambda target: target.x,
    lambda target: target.none,
    lambda target: setattr(target, "y", [1]),
    lambda target: target.y,
    lambda target: setattr(target, "z", IntoTheVoid()),
    lambda target: delattr(target, "y"),
    lambda target: delattr(target, "y"),
    lambda target: setattr(target, "_local", 1),
    lambda target: target._local,
    lambda target: delattr(target, "_local"),
    lambda target: target._none,
    lambda target: target.get_lock,
    lambda target: hasattr(target, "x"),
    lambda target: str(target),
    lambda target: repr(target),
    lambda target: target._callmethod("__getattribute__", ("x",)),
]

VALUE = [
    lambda target: target.value,
    lambda target: target.get(),
    lambda target: target.set(5),
    lambda target: target.value,
    lambda target: setattr(target, "value", "text"),
    lambda target: target.get(),
    lambda target: str(target),
    lambda target: repr(target),
]

ARRAY = [
    lambda target: len(target),
    lambda target: target[0],
    lambda target: target[1:],
    lambda target: target[99],
    lambda target: list(target),
    lambda target: 2 in target,
    lambda target: 99 in target,
    lambda target: target.__setitem__(0, 7),
    lambda target: target.__setitem__(0, 1.5),
    lambda target: target.__setitem__(99, 1),
    lambda target: target.__setitem__(slice(0, 2), array.array("i", [8, 9])),
    lambda target: target[:],
    lambda target: str(target),
]

ACQUIRER = [
    lambda target: target.acquire(),
    lambda target: target.release(),
    lambda target: target.acquire(False),
    lambda target: target.acquire(blocking=True, timeout=0.01),
    lambda target: target.release(),
    lambda target: target.acquire(True, 0.01),
    lambda target: target.acquire(False, 0.01),
    lambda target: target.acquire(True, "x"),
    lambda target: target.release(),
    lambda target: target.release(),
    lambda target: target.release(),
    lambda target: target.__enter__(),
    lambda target: target.__exit__(None, None, None),
    lambda target: target.release(),
]

EVENT = [
    lambda target: target.is_set(),
    lambda target: target.wait(0.01),
    lambda target: target.wait(timeout=0.01),
    lambda target: target.set(),
    lambda target: target.is_set(),
    lambda target: target.wait(),
    lambda target: target.clear(),
    lambda target: target.wait("x"),
    lambda target: target.is_set(),
]

CONDITION = [
    lambda target: target.notify(),
    lambda target: target.wait(0.01),
    lambda target: target.acquire(),
    lambda target: target.wait(0.01),
    lambda target: target.wait_for(lambda: False, 0.02),
    lambda target: target.wait_for(lambda: 5),
    lambda target: target.notify(2),
    lambda target: target.notify_all(),
    lambda target: target.release(),
    lambda target: target.release(),
]

BARRIER = [
    lambda target: target.parties,
    lambda target: target.n_waiting,
    lambda target: target.broken,
    lambda target: target.wait(),
    lambda target: target.wait(timeout=1),
    lambda target: target.abort(),
    lambda target: target.broken,
    lambda target: target.wait(),
    lambda target: target.reset(),
    lambda target: target.broken,
    lambda target: target.none,
]

QUEUE = [
    lambda target: target.empty(),
    lambda target: target.put(1),
    lambda target: target.put(item=2, timeout=0.01),
    lambda target: target.full(),
    lambda target: target.put(3, False),
    lambda target: target.put(3, timeout=0.01),
    lambda target: target.put(3, True, 0.01),
    lambda target: target.put_nowait(3),
    lambda target: target.qsize(),
    lambda target: target.get(),
    lambda target: target.get(timeout=0.01),
    lambda target: target.get(True, 0.01),
    lambda target: target.get_nowait(),
    lambda target: target.get(block=False),
    lambda target: target.task_done(),
    lambda target: target.task_done(),
    lambda target: target.task_done(),
    lambda target: target.join(),
    lambda target: target.put(),
    lambda target: target.put(1, 2, 3, 4),
]

TABLE = {
    "list": (LIST, ([3, 1, 2],), {}),
    "dict": (DICT, ({"a": 1},), {}),
    "set": (SET, ([1, 2],), {}),
    "Namespace": (NAMESPACE, (), {"x": 1}),
    "Value": (VALUE, ("i", 3), {}),
    "Array": (ARRAY, ("i", [1, 2, 3]), {}),
    "Lock": (ACQUIRER, (), {}),
    "RLock": (ACQUIRER, (), {}),
    "Semaphore": (ACQUIRER, (1,), {}),
    "Event": (EVENT, (), {}),
    "Condition": (CONDITION, (), {}),
    "Barrier": (BARRIER, (1,), {}),
    "Queue": (QUEUE, (2,), {}),
    "QueueClass": (QUEUE, (2,), {}),
}


@pytest.mark.parametrize("typeid", TABLE)
def test_as_stock_does(ours, theirs, typeid):
    operations, args, kwds = TABLE[typeid]
    mine = getattr(ours, f"hosted_{typeid}")(*args, **kwds)
    stocks = getattr(theirs, f"hosted_{typeid}")(*args, **kwds)
    if typeid == "set" and not hasattr(stock, "SetProxy"):
        # Operators need a class that is written for them; a plain set has the same results.
        stocks = set(*args)
    different = []
    for number, operation in enumerate(operations):
        found, wanted = outcome(operation, mine), outcome(operation, stocks)
        if found != wanted:
            different.append((number, found, wanted))
    assert different == []
