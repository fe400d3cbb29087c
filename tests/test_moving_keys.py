"""Dicts and sets with keys that have no form in shared memory: they move to the manager process.

Nobody is to notice: neither the process that brings the key nor others that are in the middle of
something, and whatever was there stays as it was.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import multiprocessing
import os
import pickle
import signal

import marks
import pytest
import subject
from subject import managers

PROCESSES = 4
ROUNDS = 40


class Colour(enum.Enum):
    RED = 1
    GREEN = "green"


class Number(enum.IntEnum):
    ONE = 1
    TWO = 2


class Text(str):
    """A str that is not exactly one."""


@dataclasses.dataclass(frozen=True)
class Place:
    row: int
    name: str


class ByValue:
    """Compares by what it holds, in Python code."""

    def __init__(self, held):
        self.held = held

    def __eq__(self, other):
        return isinstance(other, ByValue) and self.held == other.held

    def __hash__(self):
        return hash(self.held)

    def __repr__(self):
        return f"ByValue({self.held!r})"


class Unpicklable:
    """Can be hashed, but not sent anywhere."""

    def __reduce__(self):
        raise TypeError("stays here")


KEYS = [
    Colour.RED,
    Number.TWO,
    Text("text"),
    Place(3, "x"),
    ByValue((1, 2)),
    datetime.date(2024, 2, 29),
    (datetime.date(2024, 2, 29), datetime.date(2025, 1, 1)),
    decimal.Decimal("1.5"),
    frozenset({1, 2}),
    (1, (2, frozenset())),
    1 + 2j,
    range(3),
    int,
]


def outcome(attempt, target):
    """What a call returns or raises."""
    try:
        result = attempt(target)
    except Exception as problem:
        return type(problem), str(problem)
    return type(result), repr(result)


DICT_OPERATIONS = [
    lambda target, key: target.get(key),
    lambda target, key: target[key],
    lambda target, key: key in target,
    lambda target, key: target.pop(key),
    lambda target, key: target.pop(key, "default"),
    lambda target, key: target.__delitem__(key),
    lambda target, key: target.__setitem__(key, [1]),
    lambda target, key: target[key],
    lambda target, key: key in target,
    lambda target, key: len(target),
    lambda target, key: list(target.keys()),
    lambda target, key: list(target.values()),
    lambda target, key: list(target.items()),
    lambda target, key: list(target),
    lambda target, key: target.copy(),
    lambda target, key: target.setdefault(key, 2),
    lambda target, key: target.setdefault("new", 3),
    lambda target, key: target.setdefault((key, 1)),
    lambda target, key: target.get("missing", key),
    lambda target, key: target["missing"],
    lambda target, key: target.update({key: 4, "b": 5}),
    lambda target, key: target.update([((key, 2), 6)], c=7),
    lambda target, key: target.update(5),
    lambda target, key: target.get(),
    lambda target, key: target.pop("a"),
    lambda target, key: target.pop(key),
    lambda target, key: target.__delitem__((key, 1)),
    lambda target, key: target.popitem(),
    lambda target, key: list(target.items()),
    lambda target, key: str(target),
    lambda target, key: target.clear(),
    lambda target, key: target.popitem(),
    lambda target, key: len(target),
]


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_every_method_of_dict(manager, key):
    plain, shared = {"a": 1, 1: "one"}, manager.dict({"a": 1, 1: "one"})
    for number, operation in enumerate(DICT_OPERATIONS):
        wanted = outcome(lambda target: operation(target, key), plain)  # noqa: B023
        found = outcome(lambda target: operation(target, key), shared)  # noqa: B023
        assert found == wanted, number


@pytest.mark.parametrize("key", KEYS, ids=repr)
@pytest.mark.parametrize(
    "change",
    [
        lambda target, key: target.__setitem__(key, 1),
        lambda target, key: target.update({"z": 2, key: 1}),
        lambda target, key: target.update([("z", 2), (key, 1)]),
        lambda target, key: target.update((pair for pair in [("z", 2), (key, 1)]), y=3),
        lambda target, key: target.setdefault(key, 1),
    ],
    ids=["setitem", "update", "pairs", "generator", "setdefault"],
)
@marks.coheld_only
def test_each_way_to_bring_a_key_in(manager, key, change):
    plain, shared = {"a": 1}, manager.dict(a=1)
    assert change(shared, key) == change(plain, key)
    assert list(shared.copy().items()) == list(plain.items())
    assert shared[key] == 1 and key in shared


@marks.stock_since(3, 14)
def test_operators_of_dict(manager):
    plain, shared = {"a": 1}, manager.dict(a=1)
    token = shared._token.id
    shared |= {Colour.RED: 2}
    plain |= {Colour.RED: 2}
    assert shared._token.id == token and isinstance(shared, managers.DictProxy)
    shared |= [(Place(1, "y"), 3)]
    plain |= [(Place(1, "y"), 3)]
    assert shared.copy() == plain
    assert shared | {"b": 1} == plain | {"b": 1}
    assert {Colour.RED: 0, "c": 1} | shared == {Colour.RED: 0, "c": 1} | plain
    assert list(reversed(shared)) == list(reversed(plain))
    assert shared.fromkeys([Colour.RED], 1) == {Colour.RED: 1}


@marks.coheld_only
def test_both_operands_are_proxies(manager):
    one, other = manager.dict({Colour.RED: 1}), manager.dict({Number.TWO: 2, "a": 3})
    assert one | other == {Colour.RED: 1, 2: 2, "a": 3}
    one |= other
    assert one.copy() == {Colour.RED: 1, 2: 2, "a": 3}
    some, more = manager.set([Colour.RED, 1]), manager.set([Place(1, "x"), 1])
    assert some | more == {Colour.RED, 1, Place(1, "x")}
    assert some & more == {1} and some - more == {Colour.RED}
    some ^= more
    assert some.copy() == {Colour.RED, Place(1, "x")}


SET_OPERATIONS = [
    lambda target, key: key in target,
    lambda target, key: target.discard(key),
    lambda target, key: target.remove(key),
    lambda target, key: target.add(key),
    lambda target, key: key in target,
    lambda target, key: len(target),
    lambda target, key: sorted(map(repr, target)),
    lambda target, key: target.add("b"),
    lambda target, key: target.update([key, "c"], {(key, 1)}),
    lambda target, key: target.issuperset([key]),
    lambda target, key: target.isdisjoint([key]),
    lambda target, key: target.issubset([key]),
    lambda target, key: target <= {key},
    lambda target, key: target > {key},
    lambda target, key: len(target.union([(key, 2)])),
    lambda target, key: target.intersection([key, "b"]) == {key, "b"},
    lambda target, key: target.symmetric_difference_update(iter(["b", (key, 3)])),
    lambda target, key: target.difference_update(iter([(key, 1)])),
    lambda target, key: sorted(map(repr, target.copy())),
    lambda target, key: target.add([]),
    lambda target, key: target.add(),
    lambda target, key: target.intersection_update([key]),
    lambda target, key: target.pop() == key,
    lambda target, key: target.pop(),
]


@marks.coheld_only
@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_every_method_of_set(manager, key):
    plain, shared = {"a", 3}, manager.set(["a", 3])
    for number, operation in enumerate(SET_OPERATIONS):
        wanted = outcome(lambda target: operation(target, key), plain)  # noqa: B023
        found = outcome(lambda target: operation(target, key), shared)  # noqa: B023
        assert found == wanted, number


@marks.stock_since(3, 14)
@pytest.mark.parametrize("symbol", ["__ior__", "__iand__", "__isub__", "__ixor__"])
def test_operators_in_place_of_set(manager, symbol):
    plain, shared = {"a", 1}, manager.set(["a", 1])
    for operand in ({"a", Colour.RED}, {Colour.RED}, {Colour.GREEN, 1}):
        plain = getattr(plain, symbol)(operand)
        assert getattr(shared, symbol)(operand) is shared
        assert shared.copy() == plain


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_new_ones(manager, key):
    content = {"a": 1, key: 2, "b": [3]}
    assert list(manager.dict(content).items()) == list(content.items())
    assert list(manager.dict(list(content.items()), c=4).items()) == [*content.items(), ("c", 4)]
    if hasattr(manager, "set"):
        assert manager.set(content).copy() == set(content)


# What need not move.


@marks.coheld_only
def test_what_is_equal_to_a_plain_key_need_not_move(manager, processes):
    """`Number.ONE == 1`: the first form of the key stays, and the dict as well."""
    shared, members = manager.dict({1: "a", "text": "b"}), manager.set([1, "text"])
    shared[Number.ONE] = "c"
    shared[Text("text")] = "d"
    assert shared.setdefault(Number.ONE, 5) == "c" and shared.pop(Text("none"), 6) == 6
    members.add(Number.ONE)
    members.discard(Number.TWO)
    assert repr(shared.copy()) == "{1: 'c', 'text': 'd'}"
    assert sorted(map(repr, members)) == ["'text'", "1"]
    kill(manager)
    assert shared[Number.ONE] == "c" and Number.ONE in members


def test_a_plain_key_meets_an_odd_one(manager):
    shared = manager.dict({Number.ONE: "a"})
    assert shared[1] == shared[1.0] == shared[True] == "a"
    shared[1] = "b"
    assert repr(shared.copy()) == repr({Number.ONE: "b"})


def kill(manager):
    os.kill(manager._process.pid, signal.SIGKILL)
    manager._process.join()


@marks.coheld_only
@pytest.mark.parametrize("key", [[], {}, ([],), Unpicklable()], ids=repr)
def test_what_cannot_be_a_key_moves_nothing(manager, key):
    shared, members = manager.dict(a=1), manager.set(["a"])
    for attempt in (
        lambda: shared.__setitem__(key, 1),
        lambda: shared.update([("b", 1), (key, 1)]),
        lambda: shared.setdefault(key, 1),
        lambda: shared.increment(key),
        lambda: members.add(key),
        lambda: members.update(["b", key]),
        lambda: manager.set([key]),
    ):
        with pytest.raises((TypeError, managers.RemoteError)):
            attempt()
    kill(manager)
    assert shared.copy() == {"a": 1} and members.copy() == {"a"}


@marks.coheld_only
def test_without_a_manager_process_everything_stays(manager):
    import coheld

    shared, members = manager.dict(a=1), manager.set(["a"])
    kill(manager)
    for attempt in (
        lambda: shared.__setitem__(Colour.RED, 1),
        lambda: shared.update({"b": 1, Colour.RED: 2}),
        lambda: members.add(Colour.RED),
    ):
        with pytest.raises(coheld.ManagerGone):
            attempt()
    shared["b"] = 2
    members.add("b")
    assert shared.copy() == {"a": 1, "b": 2} and members.copy() == {"a", "b"}


@marks.coheld_only
def test_when_the_manager_process_goes_later(manager):
    import coheld

    shared = manager.dict({Colour.RED: 1})
    kill(manager)
    for attempt in (lambda: shared[Colour.RED], lambda: len(shared), shared.copy):
        with pytest.raises(coheld.ManagerGone):
            attempt()
    assert "failed" in str(shared)


@marks.coheld_only
def test_a_proxy_in_a_key_goes_with_it(manager):
    """Looking whether the key can be pickled took a lease, which kept the object for a minute."""
    shared, inside = manager.dict(), manager.list()
    shared[1, inside] = 2
    assert len(shared) == 1
    shared.clear()
    del shared, inside
    assert subject.objects_left(manager, 0, seconds=3) == 0


# What goes on.


def test_proxies_inside_survive(manager):
    inner, other = manager.dict(x=1), manager.list([1, 2])
    shared = manager.dict(inner=inner, nested={"deep": [other]}, event=manager.Event())
    inner_id, other_id = inner._token.id, other._token.id
    del inner, other
    shared[Colour.RED] = manager.list(["new"])
    shared["inner"]["y"] = 2
    assert shared["inner"].copy() == {"x": 1, "y": 2}
    assert shared["inner"]._token.id == inner_id
    assert shared["nested"]["deep"][0]._token.id == other_id
    shared["nested"]["deep"][0].append(3)
    assert shared["nested"]["deep"][0][:] == [1, 2, 3]
    assert shared[Colour.RED][:] == ["new"]
    shared["event"].set()
    assert shared["event"].is_set()


@marks.coheld_only
def test_everything_is_freed(manager):
    shared = manager.dict(inner=manager.list([1]))
    shared[Colour.RED] = manager.list([2])
    assert manager._number_of_objects() == 3
    shared.pop("inner")
    assert subject.objects_left(manager, 2) == 2
    del shared
    assert subject.objects_left(manager) == 0


def test_the_order_is_kept(manager):
    keys = [f"key {number}" for number in range(500)]
    shared = manager.dict({key: number for number, key in enumerate(keys)})
    del shared[keys[7]]
    shared[Colour.RED] = "red"
    shared[keys[7]] = "late"
    wanted = [key for key in keys if key != keys[7]] + [Colour.RED, keys[7]]
    assert list(shared.keys()) == list(shared) == wanted
    assert shared.popitem() == (keys[7], "late")


@marks.coheld_only
def test_an_iteration_under_way_ends(manager):
    shared = manager.dict({number: number for number in range(100)})
    iterator = iter(shared)
    assert [next(iterator) for _ in range(3)] == [0, 1, 2]
    shared[Colour.RED] = 1
    assert list(iterator) == list(range(3, 100))


def test_a_pickled_proxy_of_before(manager):
    shared = manager.dict(a=1)
    ident = shared._token.id
    pickled = pickle.dumps(shared)
    shared[Colour.RED] = 2
    again = pickle.loads(pickled)
    assert again.copy() == {"a": 1, Colour.RED: 2}
    later = pickle.loads(pickle.dumps(again))
    later[Colour.GREEN] = 3
    assert later._token.id == again._token.id == shared._token.id == ident
    assert shared[Colour.GREEN] == 3 and isinstance(later, managers.DictProxy)


def listen(connection, shared):
    """Answers questions about a dict by a proxy that was made before it moved."""
    before = shared.copy()
    connection.send("ready")
    while True:
        key, value = connection.recv()
        if key is None:
            return before
        found = shared.get(key)
        shared[key] = value
        connection.send((found, len(shared), shared.keys()))


def test_the_live_proxy_of_another_process(manager_of_context, context, processes):
    shared = manager_of_context.dict(a=1)
    ours, theirs = context.Pipe()
    child = processes.start(context, listen, theirs, shared)
    assert ours.recv() == "ready"
    shared[Colour.RED] = 2
    ours.send((Colour.RED, 3))
    assert ours.recv() == (2, 2, ["a", Colour.RED])
    ours.send(("b", 4))
    assert ours.recv() == (None, 3, ["a", Colour.RED, "b"])
    ours.send((None, None))
    assert child.result() == {"a": 1}
    assert shared.copy() == {"a": 1, Colour.RED: 3, "b": 4}


def test_it_moves_in_another_process(manager_of_context, context, processes):
    shared = manager_of_context.dict(a=1)
    processes.run(context, shared.__setitem__, Place(1, "x"), 2)
    shared[Place(2, "y")] = 3
    assert shared.copy() == {"a": 1, Place(1, "x"): 2, Place(2, "y"): 3}


@marks.coheld_only
def test_a_bare_fork(manager, processes):
    shared = manager.dict(a=1)
    shared["b"] = 2

    def child():
        shared[Colour.RED] = 3
        return shared.copy() == {"a": 1, "b": 2, Colour.RED: 3}

    assert processes.join_fork(processes.fork(child)) == 0
    assert shared[Colour.RED] == 3

    def another():
        shared[Colour.GREEN] = 4
        return shared[Colour.RED] == 3

    assert processes.join_fork(processes.fork(another)) == 0
    assert shared.copy() == {"a": 1, "b": 2, Colour.RED: 3, Colour.GREEN: 4}


def fill(shared, members, who):
    """Brings in keys of both sorts."""
    for number in range(ROUNDS):
        shared[who, number] = number
        if number == ROUNDS // 2 + who:
            members.add(Place(who, "first"))
        members.add((who, number))
        shared[Place(who, str(number))] = number
        assert shared[who, number] == number
    return len(shared)


@marks.coheld_only
def test_several_processes_at_once(manager_of_context, context, processes):
    """Nothing is lost, whoever makes it move."""
    for _ in range(3 if context.get_start_method() == "fork" else 1):
        shared, members = manager_of_context.dict(), manager_of_context.set()
        children = [
            processes.start(context, fill, shared, members, who) for who in range(PROCESSES)
        ]
        for child in children:
            child.result(60)
        wanted = {(who, number): number for who in range(PROCESSES) for number in range(ROUNDS)}
        odd = {Place(who, str(number)): number for who, number in wanted}
        assert shared.copy() == {**wanted, **odd}
        assert members.copy() == {*wanted, *(Place(who, "first") for who in range(PROCESSES))}


def carry(source, target, who):
    """Takes entries out of one dict and puts them into another, until there are none."""
    carried = 0
    while True:
        try:
            key, value = source.popitem()
        except KeyError:
            return carried
        target[Place(who, key)] = value
        carried += 1
        if carried == ROUNDS:
            # The source moves as well, in the middle of everything.
            source[Place(who, "more")] = 1


@marks.coheld_only
def test_each_entry_is_taken_once(manager, processes):
    fork = multiprocessing.get_context("fork")
    source = manager.dict({f"key {number}": 1 for number in range(ROUNDS * PROCESSES * 3)})
    target = manager.dict()
    children = [processes.start(fork, carry, source, target, who) for who in range(PROCESSES)]
    carried = sum(child.result(60) for child in children)
    brought = sum(1 for key in target.keys() if isinstance(key.name, Place))
    assert len(source) == 0 and len(target) == carried == ROUNDS * PROCESSES * 3 + brought
    assert {key.name for key in target.keys() if isinstance(key.name, str)} == {
        f"key {number}" for number in range(ROUNDS * PROCESSES * 3)
    }


def count(shared, who):
    for number in range(ROUNDS):
        shared.increment("count")
        if number == who:
            shared.setdefault(Colour.RED, who)
        shared.increment(Colour.GREEN, 2)
    return True


@marks.coheld_only
def test_increments_meanwhile(manager, processes):
    fork = multiprocessing.get_context("fork")
    shared = manager.dict()
    children = [processes.start(fork, count, shared, who) for who in range(PROCESSES)]
    assert all(child.result(60) for child in children)
    assert shared["count"] == PROCESSES * ROUNDS
    assert shared[Colour.GREEN] == 2 * PROCESSES * ROUNDS


@marks.coheld_only
def test_what_only_we_have(manager):
    shared = manager.dict(a=1)
    lock = shared.get_lock()
    shared[Colour.RED] = 1
    assert shared.get_lock()._token.id == lock._token.id
    with lock:
        assert shared.increment(Colour.RED, 4) == 5
    assert shared.increment("new", initial=10) == 11
    assert shared._callmethod("increment", ("new",)) == 12
    assert shared.compare_exchange(Colour.RED, 5, "x") is True
    assert shared.compare_exchange(Colour.RED, 5, "y") is False
    assert shared.compare_exchange("missing", None, 1) is False
    with pytest.raises(TypeError):
        shared.increment(Colour.RED)
    assert shared.copy() == {"a": 1, Colour.RED: "x", "new": 12}


class Narrow(managers.BaseProxy):
    """A proxy class of a program."""

    _exposed_ = ("__len__", "__getitem__", "__setitem__", "__eq__")

    def __len__(self):
        return self._callmethod("__len__")

    def put(self, key, value):
        return self._callmethod("__setitem__", (key, value))

    def same(self, other):
        return self._callmethod("__eq__", (other,))


class OwnManager(managers.SyncManager):
    pass


OwnManager.register("narrow", dict, Narrow)


def test_a_proxy_class_of_ones_own():
    with OwnManager(ctx=multiprocessing.get_context("fork")) as manager:
        shared = manager.narrow(a=1)
        shared.put(Colour.RED, 2)
        assert len(shared) == 2 and shared.same({"a": 1, Colour.RED: 2})
        assert shared._getvalue() == {"a": 1, Colour.RED: 2}
        with pytest.raises(managers.RemoteError, match="not in exposed"):
            shared._callmethod("pop", ("a",))
        assert str(shared) == str({"a": 1, Colour.RED: 2})


def test_text(manager):
    shared = manager.dict(a=1)
    shared[Number.TWO] = shared2 = [1]
    assert str(shared) == str({"a": 1, Number.TWO: shared2})
    assert repr(shared).startswith("<DictProxy object, typeid 'dict' at 0x")
    assert "Number.TWO" in manager._debug_info()
