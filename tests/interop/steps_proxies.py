"""Steps: proxies as such: their texts, copies and pickles, proxies inside values."""

from __future__ import annotations

import copy
import gc
import pickle
import re

from battery import outcome, step


@step(short=True)
def texts(world):
    shared = world.manager.list([1, "x"])
    yield str(shared), repr(shared), format(shared)
    shared = world.manager.dict(a=1)
    yield str(shared), repr(shared), f"{shared!r} {shared}"
    for name, args in (
        ("Namespace", ()),
        ("Value", ("i", 0)),
        ("Array", ("i", [])),
        ("Queue", ()),
        ("Event", ()),
        ("Lock", ()),
        ("Condition", ()),
        ("Barrier", (1,)),
        ("Counter", ()),
    ):
        yield repr(getattr(world.manager, name)(*args))


@step()
def copies(world):
    shared = world.manager.list([1, [2]])
    shallow, deep = copy.copy(shared), copy.deepcopy(shared)
    shared.append(3)
    yield shallow[:], deep, type(shallow).__name__, type(deep).__name__
    yield shallow._id == shared._id, shallow is shared, shallow == shared
    yield shared._getvalue(), world.manager.dict(a=1)._getvalue()
    yield outcome(world.manager.Queue()._getvalue), outcome(world.manager.Lock()._getvalue)
    yield str(world.manager.Namespace(x=1)._getvalue()), world.manager.Array("i", [1])._getvalue()
    yield copy.copy(world.manager.Counter(5)).add(), copy.copy(world.manager.Value("i", 3)).value


@step(short=True)
def pickles(world):
    shared = world.manager.list([1])
    back = pickle.loads(pickle.dumps(shared))
    back.append(2)
    yield shared[:], back._id == shared._id, type(back).__name__
    for protocol in range(5):
        back = pickle.loads(pickle.dumps([shared], protocol))[0]
        yield back[:]
    counter = world.manager.Counter(3)
    back = pickle.loads(pickle.dumps(counter))
    yield back.add(), counter.value(), type(back).__name__
    shared = world.manager.Attributes(3)
    yield pickle.loads(pickle.dumps(shared)).number
    kept = world.manager.Event()
    event = pickle.loads(pickle.dumps(kept))
    yield event.set(), event.is_set()


@step(short=True)
def nested(world):
    inner = world.manager.list(["inner"])
    middle = world.manager.dict(key=inner)
    outer = world.manager.list([middle, inner])
    inner.append("later")
    yield outer[0]["key"][:], outer[1][:], outer[0]["key"][1]
    yield outer[0]["key"]._id == inner._id, outer[0]._id == middle._id, type(outer[1]).__name__
    outer[0]["key"].append("through")
    outer[0]["new"] = 5
    yield inner[:], middle.keys(), middle["new"]
    yield re.sub(r"at 0x\S+", "", str(outer)), [type(item).__name__ for item in outer]
    yield [item[:] for item in middle.values()[:1]], middle.get("key")[:], middle.copy()["key"][:]
    del inner
    yield outer[1][:], outer.pop()[:], middle.pop("key")[:], len(outer), len(middle)


@step()
def nested_of_all_types(world):
    manager = world.manager
    shared = manager.dict()
    shared["event"] = manager.Event()
    shared["event"].set()
    yield shared["event"].is_set()
    shared["lock"] = manager.Lock()
    yield shared["lock"].acquire(), shared["lock"].acquire(False), shared["lock"].release()
    shared["value"] = manager.Value("i", 5)
    shared["value"].value += 1
    shared["space"] = manager.Namespace(x=1)
    shared["space"].y = 2
    shared["array"] = manager.Array("i", [1, 2])
    shared["array"][0] = 9
    yield shared["value"].value, shared["space"].y, shared["array"][:]
    shared["own"] = manager.Attributes(7)
    yield shared["own"].add(), shared["own"].number, type(shared["own"]).__name__
    shared["in a value"] = {"deep": [(manager.list(["deep"]),)]}
    yield shared["in a value"]["deep"][0][0][:]
    yield sorted(type(item).__name__ for item in shared.values())


@step(short=True)
def proxies_through_queues(world):
    shared, inner = world.manager.Queue(), world.manager.dict(a=1)
    shared.put(inner)
    back = shared.get(timeout=5)
    back["b"] = 2
    yield inner.copy(), back._id == inner._id
    shared.put([world.manager.list(["only in the queue"])])
    gc.collect()
    yield shared.get()[0][:]
    value = world.manager.Value("i", None)
    value.value = inner
    space = world.manager.Namespace(inner=inner)
    yield value.value["a"], space.inner["b"], value.get()._id == inner._id


# The server of 3.8 cannot unpickle proxies whose type is made on the fly.
@step(since=(3, 9))
def nested_automatic_proxies(world):
    shared = world.manager.dict()
    shared["queue"] = world.manager.Queue()
    shared["queue"].put("through the dict")
    yield shared["queue"].get(timeout=5), type(shared["queue"]).__name__
    shared["counter"] = world.manager.Counter(7)
    yield shared["counter"].add(), type(shared["counter"]).__name__
    # Before 3.14, Python has no type for it.
    shared["set"] = world.manager.set([1])
    shared["set"].add(2)
    yield len(shared["set"]), 1 in shared["set"], shared["set"].copy()
    queue = world.manager.Queue()
    queue.put(queue)
    queue.put([world.manager.Counter(9)])
    yield queue.get()._id == queue._id, queue.get()[0].add(), queue.qsize()


@step()
def proxies_as_arguments(world):
    first, second = world.manager.list([1, 2]), world.manager.dict(a=1)
    yield world.manager.list(first)[:], world.manager.list(second.keys())[:]
    third = world.manager.list()
    third.extend(first)
    third.extend(first)
    third[:1] = first
    yield third[:], outcome(third.index, 9).__class__.__name__
    fourth = world.manager.dict(b=2)
    fourth.update(second)
    yield fourth.copy(), list(first), dict(second), sorted(world.manager.set(first))


@step()
def a_list_inside_itself(world):
    shared = world.manager.list([1])
    shared.append(shared)
    yield shared[1][1][1][0], shared[1]._id == shared._id, len(shared)
    shared.pop()
    yield shared[:]


@step()
def connections(world):
    again = world.connect()
    shared = again.list([1])
    again.connect()
    yield shared[:], again.address == world.address, again.list([2])[:]
    yield outcome(lambda: again.shutdown).__class__.__name__
