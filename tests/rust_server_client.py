"""A client of a server without Python: rust_server_client.py ADDRESS objects|work|wait.

Runs in plain Pythons from 3.8 on. None of its classes can be imported by anybody else.
"""

from __future__ import annotations

import datetime
import gc
import json
import multiprocessing
import os
import sys
import time
from multiprocessing.managers import BaseManager, SyncManager

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "interop"))

import ends  # noqa: E402

KEY = b"\0 key of a server without Python \xff"


class Manager(SyncManager):
    pass


for name in ("tasks", "results"):
    Manager.register(name)


class Thing:
    """An object with attributes, equal to one with the same."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)

    def __eq__(self, other):
        return type(other) is Thing and vars(self) == vars(other)

    __hash__ = None


class Slotted:
    __slots__ = ("left", "right")

    def __reduce__(self):
        return make_slotted, (self.left,), None, iter([1, 2])

    def extend(self, items):
        self.right = list(items)

    def append(self, item):
        self.extend([*getattr(self, "right", []), item])


def make_slotted(left):
    made = Slotted()
    made.left = left
    return made


class Odd(dict):
    pass


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it has taken too long"
        time.sleep(0.01)


def objects(manager):
    """Objects of classes of this program, in each kind of container."""
    begun = manager._number_of_objects()
    inner = manager.list(["inner"])
    thing = Thing(number=1, when=datetime.date(2020, 2, 29), deep=[Thing(x=(1, 2))])
    holder = Thing(shared=inner, again=[inner], other=manager.dict(a=1))
    shared = manager.list([thing, holder])
    assert shared[0] == thing and shared[0].deep[0].x == (1, 2)
    assert shared[1].shared[:] == ["inner"]
    assert shared[1].shared._id == shared[1].again[0]._id == inner._id
    # What is inside lives as long as what it is in.
    del holder
    ident = inner._id
    del inner
    gc.collect()
    assert shared[-1].shared[0] == "inner" and shared[-1].shared._id == ident
    shared[1].other["b"] = 2
    assert shared[1].other.copy() == {"a": 1, "b": 2}

    tasks, results = manager.tasks(), manager.results()
    for value in (thing, shared[1], Odd(a=shared), [shared[1], {"k": thing}], {1: thing}):
        tasks.put(value)
        back = tasks.get()
        assert type(back) is type(value)
        results.update({"key": value})
        assert type(results.get("key")) is type(value)
    assert results.get("key") == {1: thing}
    tasks.put([shared, Thing(shared=shared)])
    plain, inside = tasks.get()
    assert plain._id == inside.shared._id == shared._id
    results.clear()

    slotted = make_slotted("left")
    slotted.right = [1, 2]
    value = manager.Value("i", slotted)
    assert (value.value.left, value.value.right) == ("left", [1, 2])
    namespace = manager.Namespace(thing=thing)
    namespace.holder = shared[1]
    assert namespace.thing == thing and namespace.holder.shared[0] == "inner"

    # The same object twice is one object, and what contains itself does.
    twice = [thing, thing]
    shared.append(twice)
    assert shared[-1][0] is shared[-1][0] or shared[-1][0] == thing
    back = shared[-1]
    assert back[0] is back[1]
    circle = Thing()
    circle.me = circle
    shared.append(circle)
    back = shared[-1]
    assert back.me is back

    # Several at once, out of their containers and into others.
    shared[:] = [thing, 2, thing]
    shared[1:2] = [thing] * 2
    assert shared[:] == [thing] * 4 and len(shared) == 4
    other = manager.list(shared)
    other.extend(shared[:1])
    assert other[:] == [thing] * 5
    assert manager.dict({"a": thing}, b=thing).values() == [thing, thing]
    mapped = manager.dict([("a", thing)])
    mapped.update([("b", thing)], c=thing)
    assert mapped.copy() == {"a": thing, "b": thing, "c": thing}
    # Equality is that of the pickles.
    assert thing in shared and shared.index(thing) == 0 and shared.count(thing) == 4
    shared.remove(thing)
    assert len(shared) == 3

    del shared, other, mapped, namespace, value, tasks, results, plain, inside, back
    gc.collect()
    until(lambda: manager._number_of_objects() == begun)


def work(manager):
    """The worker of the recipe."""
    tasks, results = manager.tasks(), manager.results()
    while True:
        number = tasks.get()
        if number is None:
            return
        results.update({number: number**2})


def wait(manager):
    """Wait for an item that never comes in time."""
    tasks = manager.tasks()
    tasks.qsize()
    print("waiting", flush=True)
    tasks.get()


def main():
    multiprocessing.current_process().authkey = KEY
    ends.watch(50)
    address, what = sys.argv[1:]
    factory = Manager if what == "objects" else worker_class()
    manager = factory(ends.address_from_json(json.loads(address)), authkey=KEY)
    manager.connect()
    {"objects": objects, "work": work, "wait": wait}[what](manager)
    print("done", flush=True)


def worker_class():
    class Worker(BaseManager):
        pass

    Worker.register("tasks")
    Worker.register("results")
    return Worker


if __name__ == "__main__":
    main()
