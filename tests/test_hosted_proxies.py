"""The built-in proxy classes, and classes derived from them, over objects of another process."""

from __future__ import annotations

import array
import collections
import functools
import multiprocessing
import pickle
import threading

import pytest
import subject
from coheld import managers
from hosted_builtins import Ours, make_list

pytestmark = pytest.mark.skipif(subject.IS_STOCK, reason="hosted objects of Coheld")


@pytest.fixture(scope="module")
def ours():
    with Ours(ctx=multiprocessing.get_context("fork")) as manager:
        yield manager


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
