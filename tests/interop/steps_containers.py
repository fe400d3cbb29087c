"""Steps: lists, dicts, sets, namespaces, values and arrays."""

from __future__ import annotations

import array

from battery import kind, outcome, step


@step(short=True)
def list_items(world):
    shared = world.manager.list([1, "two", 3.0])
    yield len(shared), shared[0], shared[-1], shared[1:], shared[::-1]
    shared[1] = None
    shared.append([4])
    shared.extend(iter((5, 6)))
    shared.insert(1, "inserted")
    yield shared[:]
    yield shared.pop(), shared.pop(0), shared[:]
    shared.remove(3.0)
    del shared[0]
    yield shared[:], 5 in shared, 7 in shared
    yield outcome(shared.__getitem__, 9), outcome(shared.remove, 9), outcome(shared.index, 9)
    yield kind(shared.__getitem__, "x"), kind(shared.pop, 99), kind(shared.extend, 1)


@step()
def list_slices(world):
    shared = world.manager.list(range(10))
    shared[2:4] = "ab"
    yield shared[:]
    shared[::2] = [0] * 5
    yield shared[:]
    yield kind(shared.__setitem__, slice(None, None, 2), [1])
    del shared[5:]
    del shared[::3]
    yield shared[:], shared[5:1], shared[-2:], shared[10:]
    shared[:] = []
    yield len(shared), bool(shared), shared[:]
    yield outcome(shared.pop)


@step()
def list_order(world):
    shared = world.manager.list([3, 1, 2, 1])
    yield shared.count(1), shared.index(1), shared.index(1, 2), kind(shared.index, 1, 0, 1)
    shared.sort()
    yield shared[:]
    shared.sort(reverse=True)
    yield shared[:]
    shared.sort(key=str)
    yield shared[:]
    shared.reverse()
    yield shared[:], list(reversed(shared)), list(shared), [item for item in shared]
    shared.append("text")
    yield kind(shared.sort)


@step()
def list_arithmetic(world):
    shared = world.manager.list([1, 2])
    yield shared + [3], shared * 2, 2 * shared, shared[:]
    same = shared
    same += [3]
    yield same is shared, shared[:]
    same *= 2
    yield same is shared, shared[:]
    yield kind(lambda: shared + 1), kind(lambda: shared * "x")
    yield shared == [1, 2, 3, 1, 2, 3], shared == shared, isinstance(hash(shared), int)


@step(since=(3, 14))
def list_of_314(world):
    shared = world.manager.list([1, 2])
    yield shared.copy()
    shared.clear()
    yield shared[:]


@step()
def list_many(world):
    shared = world.manager.list()
    shared.extend(range(1000))
    yield sum(shared), shared[500:505]
    yield world.manager.list("text")[:], outcome(world.manager.list, 5)


@step(short=True)
def dict_items(world):
    shared = world.manager.dict([("one", 1)], two=2)
    yield len(shared), shared["one"], shared.get("two"), shared.get("three"), shared.get("x", 5)
    shared["three"] = 3
    shared[4, "four"] = (4,)
    yield shared.items(), shared.keys(), shared.values(), shared.copy()
    yield "three" in shared, "five" in shared, 1 in shared, list(shared), dict(shared)
    yield outcome(shared.__getitem__, "five"), outcome(shared.__delitem__, "five")
    yield outcome(shared.pop, "five"), kind(shared.__getitem__, []), kind(shared.get)
    del shared["one"]
    yield shared.pop("two"), shared.pop("two", None), shared.setdefault("three", 0)
    yield shared.setdefault("five", 5), shared.popitem(), shared.copy()
    shared.clear()
    yield outcome(shared.popitem), bool(shared), str(shared)


@step()
def dict_iteration(world):
    shared = world.manager.dict(zip("abc", range(3)))
    iterator = iter(shared)
    yield next(iterator), next(iterator), next(iterator), outcome(next, iterator)
    yield [key for key in shared], sorted(shared), {**shared}, max(shared)


@step()
def dict_update(world):
    shared = world.manager.dict()
    shared.update({"a": 1})
    shared.update([("b", 2)], c=3)
    shared.update(d=4)
    yield shared.copy(), kind(shared.update, 5), kind(shared.update, [(1, 2, 3)])
    yield world.manager.dict({1: 2}).copy(), world.manager.dict().copy()
    yield outcome(world.manager.dict, 5)


@step()
def dict_keys(world):
    shared = world.manager.dict()
    for key in (1, True, 1.0, -0.0, "1", b"1", None, (1, ("x", b"y")), 10**30, frozenset((1,))):
        shared[key] = repr(key)
    yield shared.items()
    yield shared[0], shared[1], shared[(1, ("x", b"y"))], shared[frozenset((1,))]


@step()
def dict_values_that_change(world):
    shared = world.manager.dict(inner=[1])
    shared["inner"].append(2)
    yield shared["inner"]
    inner = shared["inner"]
    inner.append(2)
    shared["inner"] = inner
    yield shared["inner"]


@step(since=(3, 14))
def dict_of_314(world):
    shared = world.manager.dict(a=1)
    yield shared | {"b": 2}, {"a": 0, "c": 3} | shared
    same = shared
    same |= {"b": 2}
    yield same is shared, shared.copy(), list(reversed(shared))


@step(short=True)
def set_items(world):
    shared = world.manager.set([1, 2, 2])
    shared.add("x")
    shared.discard(9)
    yield len(shared), 1 in shared, 9 in shared, shared.copy(), set(shared)
    shared.remove("x")
    yield outcome(shared.remove, 9), kind(shared.add, []), shared._getvalue()
    yield world.manager.set([7]).pop(), outcome(world.manager.set().pop)
    shared.clear()
    yield len(shared), shared.copy()


@step()
def set_operations(world):
    shared = world.manager.set([1, 2, 3])
    yield shared | {4}, shared & {1, 9}, shared - {1}, shared ^ {1, 9}
    yield {4} | shared, {1, 9} & shared, {1, 9} - shared, {1, 9} ^ shared
    yield shared <= {1, 2, 3}, shared < {1, 2, 3}, shared >= {1}, shared > {1, 2, 3}
    yield shared.union([4], [5]), shared.intersection([1]), shared.difference([1])
    yield shared.symmetric_difference([1, 9]), shared.isdisjoint([9]), shared.issubset(range(9))
    yield shared.issuperset([1, 9])
    same = shared
    same |= {4, 5}
    same -= {1}
    same &= {2, 3, 4}
    same ^= {4, 6}
    yield same is shared, shared.copy()
    shared.update([7], [8])
    shared.difference_update([2])
    shared.intersection_update([3, 6, 7])
    shared.symmetric_difference_update([7, 9])
    yield shared.copy(), sorted(shared)


@step(short=True)
def namespace(world):
    shared = world.manager.Namespace(x=1, text="t")
    shared.y = [2]
    shared._local = 3
    yield shared.x, shared.y, shared.text, shared._local, hasattr(shared, "z")
    del shared.x
    yield outcome(getattr, shared, "x"), outcome(getattr, shared, "_missing").__class__
    yield outcome(delattr, shared, "x").__class__, str(shared)
    shared.y += [3]
    yield shared.y, str(world.manager.Namespace())


@step(short=True)
def value(world):
    shared = world.manager.Value("i", 1)
    yield shared.value, shared.get()
    shared.value = 2
    shared.value += 1
    yield shared.value
    shared.set("any type")
    yield shared.get(), str(shared), str(world.manager.Value("d", 1.5))
    yield outcome(world.manager.Value, "i")


@step(short=True)
def array_items(world):
    shared = world.manager.Array("i", [1, 2, 3])
    yield len(shared), shared[0], shared[-1], shared[1:], list(shared), 2 in shared
    shared[0] = 10
    shared[1:] = array.array("i", [20, 30, 40])
    yield shared[:], outcome(shared.__getitem__, 9), kind(shared.__setitem__, 0, "x")
    yield kind(shared.__setitem__, 0, 2**40), str(shared), world.manager.Array("d", (1,))[:]
    yield outcome(world.manager.Array, "x", [])
