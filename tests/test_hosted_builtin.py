"""The built-in proxy classes over objects of another process.

`register('get_list', callable=get_list, proxytype=ListProxy)` makes a ListProxy of a list that lives
in the manager process. It has to behave as stock's, which is asked for the same beside it.
"""

from __future__ import annotations

import array
import collections
import functools
import multiprocessing
import multiprocessing.managers as stock
import pickle
import queue
import threading

import pytest
import subject
from coheld import _coheld, managers

pytestmark = pytest.mark.skipif(subject.IS_STOCK, reason="compares with the stock manager itself")


# What lives in the manager process. Functions, so that nothing of it is native.


def make_list(items=()):
    return list(items)


def make_dict(*args, **kwds):
    return dict(*args, **kwds)


def make_set(items=()):
    return set(items)


def make_namespace(**attributes):
    return stock.Namespace(**attributes)


def make_value(typecode, value):
    return stock.Value(typecode, value)


def make_array(typecode, items):
    return array.array(typecode, items)


def make_lock():
    return threading.Lock()


def make_rlock():
    return threading.RLock()


def make_semaphore(permits):
    return threading.BoundedSemaphore(permits)


def make_event():
    return threading.Event()


def make_condition():
    return threading.Condition()


def make_barrier(parties):
    return threading.Barrier(parties)


def make_queue(size=0):
    return queue.Queue(size)


MAKERS = {
    "list": (make_list, "ListProxy"),
    "dict": (make_dict, "DictProxy"),
    "set": (make_set, "SetProxy"),
    "Namespace": (make_namespace, "NamespaceProxy"),
    "Value": (make_value, "ValueProxy"),
    "Array": (make_array, "ArrayProxy"),
    "Lock": (make_lock, "AcquirerProxy"),
    "RLock": (make_rlock, "AcquirerProxy"),
    "Semaphore": (make_semaphore, "AcquirerProxy"),
    "Event": (make_event, "EventProxy"),
    "Condition": (make_condition, "ConditionProxy"),
    "Barrier": (make_barrier, "BarrierProxy"),
    "Queue": (make_queue, None),
}


class Ours(managers.SyncManager):
    pass


class Theirs(stock.SyncManager):
    pass


def proxy_class(module, name):
    """Python before 3.14 has no SetProxy; any of its proxy types has the methods it is told."""
    if name == "SetProxy" and not hasattr(module, name):
        return stock.MakeProxyType("SetProxy", managers.SetProxy._exposed_[:])
    return getattr(module, name)


for manager_class, module in ((Ours, managers), (Theirs, stock)):
    for typeid, (maker, name) in MAKERS.items():
        proxy = None if name is None else proxy_class(module, name)
        manager_class.register(f"hosted_{typeid}", maker, proxy)
Ours.register("hosted_QueueClass", make_queue, _coheld.QueueProxy)
Theirs.register("hosted_QueueClass", make_queue)


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


# In place, and with proxies on both sides.


@pytest.mark.parametrize("symbol", ["__ior__", "__iand__", "__isub__", "__ixor__"])
def test_operators_in_place_of_set(ours, symbol):
    plain, shared = {"a", 1}, ours.hosted_set(["a", 1])
    for operand in ({"a", 2}, {"c"}, ours.hosted_set([1, 2]), ours.set([5])):
        value = operand.copy()
        plain = getattr(plain, symbol)(value)
        assert getattr(shared, symbol)(operand) is shared
        assert shared.copy() == plain
    with pytest.raises(TypeError, match="unsupported operand"):
        shared |= [1]


def test_both_operands_are_proxies(ours):
    lists = ours.hosted_list([1]), ours.list([2])
    assert lists[0] + lists[1] == [1, 2] and lists[1] + lists[0] == [2, 1]
    assert lists[0] + lists[0] == [1, 1]
    lists[0].extend(lists[1])
    lists[1].extend(lists[0])
    assert lists[0][:] == [1, 2] and lists[1][:] == [2, 1, 2]
    dicts = ours.hosted_dict(a=1), ours.dict(b=2)
    assert dicts[0] | dicts[1] == {"a": 1, "b": 2} and dicts[1] | dicts[0] == {"b": 2, "a": 1}
    hosted, native = dicts
    hosted |= native
    native |= hosted
    assert hosted is dicts[0] and hosted.copy() == native.copy() == {"a": 1, "b": 2}
    assert list(ours.list(hosted)) == ["a", "b"] and ours.dict(hosted).copy() == hosted.copy()
    sets = ours.hosted_set([1, 2]), ours.set([2, 3])
    assert sets[0] | sets[1] == sets[1] | sets[0] == {1, 2, 3}
    assert sets[0] & sets[1] == {2} and sets[0].union(sets[1], [4]) == {1, 2, 3, 4}
    assert not sets[0] <= sets[1] and sets[0].isdisjoint(ours.set([9]))


def test_dict_on_every_version(ours):
    shared = ours.hosted_dict(a=1, b=2)
    assert list(reversed(shared)) == ["b", "a"]
    assert shared.fromkeys(["x"], 1) == {"x": 1}
    assert {"c": 3} | shared == {"c": 3, "a": 1, "b": 2}


# What only native referents have.


def test_what_hosted_objects_do_not_have(ours):
    for attempt in (
        lambda: ours.hosted_dict(a=1).increment("a"),
        lambda: ours.hosted_dict(a=1).compare_exchange("a", 1, 2),
        lambda: ours.hosted_Value("i", 1).increment(),
        lambda: ours.hosted_Value("i", 1).compare_exchange(1, 2),
        lambda: ours.hosted_list().get_lock(),
        lambda: ours.hosted_set().get_lock(),
    ):
        with pytest.raises(TypeError, match="needs an object in shared memory"):
            attempt()
    with pytest.raises(AttributeError):
        ours.hosted_Namespace().get_lock  # noqa: B018


# From other processes.


def use(shared):
    """A bit of everything, in another process."""
    shared["list"].append(4)
    shared["list"] += [5]
    shared["dict"]["b"] = list(shared["dict"])
    shared["set"].add("other")
    shared["namespace"].y = shared["namespace"].x + 1
    shared["value"].value += 1
    shared["array"][0] = sum(shared["array"])
    return list(shared["list"]), sorted(map(str, shared["set"])), shared["queue"].get(timeout=10)


def everything(manager):
    return {
        "list": manager.hosted_list([1, 2]),
        "dict": manager.hosted_dict(a=1),
        "set": manager.hosted_set([1]),
        "namespace": manager.hosted_Namespace(x=1),
        "value": manager.hosted_Value("i", 1),
        "array": manager.hosted_Array("i", [1, 2]),
        "queue": manager.hosted_QueueClass(),
    }


def test_from_another_process(context, processes):
    with Ours(ctx=context) as manager:
        shared = everything(manager)
        shared["queue"].put(manager.hosted_list([7]))
        answer = processes.run(context, use, shared)
        assert answer[:2] == ([1, 2, 4, 5], ["1", "other"]) and answer[2][:] == [7]
        assert shared["list"][:] == [1, 2, 4, 5]
        assert shared["dict"].copy() == {"a": 1, "b": ["a"]}
        assert shared["namespace"].y == 2 and shared["value"].value == 2
        assert shared["array"][:] == array.array("i", [3, 2])


def test_inside_of_native_containers(ours):
    shared = ours.dict(everything(ours), nested=[ours.hosted_list([1])])
    assert type(shared["list"]) is managers.ListProxy
    shared["list"].append(3)
    shared["nested"][0].append(2)
    assert shared["list"][:] == [1, 2, 3] and shared["nested"][0][:] == [1, 2]
    again = pickle.loads(pickle.dumps(shared["array"]))
    assert again[:] == array.array("i", [1, 2])


def hold(lock, results):
    with lock:
        results.put("held")
        results.get()


def test_locks_exclude_other_processes_and_threads(ours, processes):
    fork = multiprocessing.get_context("fork")
    for lock in (ours.hosted_Lock(), ours.hosted_RLock(), ours.hosted_Semaphore(1)):
        ours_to_use, theirs_to_use = ours.Queue(), ours.Queue()
        child = processes.start(fork, hold, lock, Both(ours_to_use, theirs_to_use))
        assert ours_to_use.get(timeout=10) == "held"
        assert lock.acquire(False) is False
        assert lock.acquire(timeout=0.05) is False
        theirs_to_use.put("go on")
        child.result()
        assert lock.acquire() is True
        refused = []
        other = threading.Thread(target=lambda: refused.append(lock.acquire(False)))  # noqa: B023
        other.start()
        other.join()
        assert refused == [False]
        lock.release()


class Both:
    """A queue in each direction."""

    def __init__(self, outward, inward):
        self.put, self.get = outward.put, functools.partial(inward.get, timeout=10)
        self.queues = outward, inward

    def __reduce__(self):
        return type(self), self.queues


def meet(condition, barrier, event, shared):
    barrier.wait(10)
    with condition:
        shared["there"] = True
        condition.notify_all()
    return event.wait(10), barrier.wait()


def test_conditions_barriers_and_events(ours, processes):
    fork = multiprocessing.get_context("fork")
    condition, barrier = ours.hosted_Condition(), ours.hosted_Barrier(2)
    event, shared = ours.hosted_Event(), ours.hosted_dict()
    with condition:
        child = processes.start(fork, meet, condition, barrier, event, shared)
        assert barrier.wait(10) in (0, 1)
        assert condition.wait_for(lambda: "there" in shared, 10) is True
    event.set()
    number = barrier.wait()
    assert child.result() == (True, 1 - number)
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (2, 0, False)


# Other classes behind them, and classes derived from them.


class Noisy(list):
    """Its methods return more than those of a list."""

    def append(self, item):
        super().append(item)
        return len(self)

    def __iter__(self):
        raise RuntimeError("by index, please")


class Sizes(collections.abc.Mapping):
    """A mapping whose views cannot be pickled."""

    def __getitem__(self, key):
        return len(key)

    def __iter__(self):
        return iter(["a", "bb"])

    def __len__(self):
        return 2


class Point:
    """A class of a program."""

    def __init__(self):
        self.x = 1
        self._hidden = 2

    def shift(self, by):
        self.x += by
        return self.x

    def hidden(self):
        return self._hidden


class PointProxy(managers.NamespaceProxy):
    _exposed_ = ("__getattribute__", "__setattr__", "__delattr__", "shift", "hidden")

    def shift(self, by):
        callmethod = object.__getattribute__(self, "_callmethod")
        return callmethod("shift", (by,))

    def hidden(self):
        return self._callmethod("hidden")


class Recording(managers.ListProxy):
    """Sees every call that it makes."""

    def _callmethod(self, name, args=(), kwds={}):  # noqa: B006
        self.__dict__.setdefault("calls", []).append(name)
        return super()._callmethod(name, args, kwds)


class BoundProxy(managers.AcquirerProxy):
    _exposed_ = ("acquire", "release", "value")

    def value(self):
        return self._callmethod("value")


class Counting:
    """Something that can be acquired, without being a lock."""

    def __init__(self):
        self.count = 0

    def acquire(self, blocking=True, timeout=None):
        self.count += 1
        return self.count, blocking, timeout

    def release(self, n=1):
        self.count -= n
        return self.count

    def value(self):
        return self.count


Ours.register("Noisy", Noisy, managers.ListProxy)
Ours.register("Sizes", Sizes, managers.DictProxy)
Ours.register("Ordered", collections.OrderedDict, managers.DictProxy)
Ours.register("Counter", collections.Counter, managers.DictProxy)
Ours.register("Point", Point, PointProxy)
Ours.register("Recording", make_list, Recording)
Ours.register("Counting", Counting, BoundProxy)


def test_a_list_with_methods_of_its_own(ours):
    shared = ours.Noisy([1, 2])
    assert shared.append(3) == 3
    assert list(shared) == [1, 2, 3]


def test_other_mappings(ours):
    assert list(ours.Sizes()) == ["a", "bb"]
    ordered = ours.Ordered(a=1)
    ordered["b"] = 2
    assert list(ordered) == ["a", "b"] and list(reversed(ordered)) == ["b", "a"]
    counter = ours.Counter("aab")
    counter.update("ab")
    assert counter["a"] == 3 and counter["none"] == 0


def test_a_namespace_proxy_of_a_class(ours):
    point = ours.Point()
    assert (point.x, point.shift(4), point.x, point.hidden()) == (1, 5, 5, 2)
    point.y = [1]
    assert point.y == [1]
    del point.y
    with pytest.raises(AttributeError, match="'Point' object has no attribute 'y'"):
        point.y  # noqa: B018
    with pytest.raises(AttributeError, match="PointProxy"):
        point._hidden  # noqa: B018
    again = pickle.loads(pickle.dumps(point))
    assert type(again) is PointProxy and again.shift(1) == 6


def test_a_subclass_sees_its_calls(ours):
    shared = ours.Recording([1])
    shared.append(2)
    shared += [3]
    assert shared[0] == 1 and len(shared) == 3
    assert shared.calls == ["append", "extend", "__getitem__", "__len__"]


def test_arguments_of_acquire(ours):
    shared = ours.Counting()
    assert shared.acquire() == (1, True, None)
    assert shared.acquire(False) == (2, False, None)
    assert shared.acquire(timeout=1.5) == (3, True, 1.5)
    assert shared.acquire(5, 2) == (4, 5, 2)
    assert shared.release() == 3 and shared.release(2) == 1
    with shared as got:
        assert got == (2, True, None) and shared.value() == 2
    assert shared.value() == 1
