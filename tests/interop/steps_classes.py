"""Steps: objects of registered classes, what their methods return and raise, iterators."""

from __future__ import annotations

import pickle

from battery import in_thread, kind, outcome, step
from things import OwnError, Point


@step(short=True)
def registered_class(world):
    shared = world.manager.Counter(5, step=2)
    yield shared.add(), shared.add(3), shared.add(count=1, times=2), shared.value()
    yield shared.same(1, None, [2], key="word"), str(shared), type(shared).__name__
    yield sorted(set(shared._exposed_))
    yield [name for name in ("add", "_hidden", "number") if hasattr(shared, name)]
    yield kind(shared.add, 1, 2, 3), kind(shared.add, wrong=1), in_thread(shared.add)
    yield outcome(world.manager.Counter, 1, 2, 3), outcome(world.manager.Counter, wrong=1)


@step(short=True)
def exceptions(world):
    shared = world.manager.Counter()
    yield outcome(shared.fail, "own", "message", 7, Point(1, 2))
    yield outcome(shared.fail, "key", "missing key"), outcome(shared.fail, "value")
    yield outcome(shared.fail, "stop", 5), outcome(shared.fail, "zero", "message")
    yield outcome(shared.fail, "system", 2, "No such file"), outcome(shared.fail, "unknown")
    error = outcome(shared.fail, "detailed", "message", {"a": 1})
    yield error, error.detail, isinstance(error, OwnError)
    yield shared.add()


@step()
def remote_errors(world):
    shared = world.manager.Counter()
    yield outcome(shared._callmethod, "_hidden"), outcome(shared._callmethod, "no_such_method")
    yield outcome(shared._callmethod, "number"), outcome(shared.fail, "attribute", "in a method")
    yield outcome(shared.fail_with_what_cannot_be_pickled), outcome(shared.unpicklable)
    error = outcome(shared._callmethod, "_hidden")
    lines = str(error).splitlines()
    yield lines[1] == "-" * 75, lines[-1] == "-" * 75, "Traceback" in str(error)
    yield kind(world.manager.list()._callmethod, "__sizeof__"), shared.add()
    yield outcome(world.manager.nobody_has_this), outcome(world.manager.Failing)
    yield outcome(world.manager.Failing, Point(1, 2))


@step()
def arguments_that_cannot_be_pickled(world):
    shared = world.manager.Counter()
    for refused in (lambda: None, open(__file__), (i for i in ())):
        error = outcome(shared.same, refused)
        yield isinstance(error, (pickle.PicklingError, AttributeError, TypeError))
    yield shared.same(1), shared.add()


@step()
def exposed_names(world):
    shared = world.manager.Few()
    yield shared.add(), shared._hidden(), hasattr(shared, "value")
    yield outcome(shared._callmethod, "value"), sorted(shared._exposed_)


@step(short=True)
def proxy_type_of_ones_own(world):
    shared = world.manager.Attributes(3)
    yield shared.add(), shared.number, outcome(shared.fail, "value", 1), type(shared).__name__
    yield outcome(shared._callmethod, "__getattribute__", ("missing",)).__class__.__name__


@step(short=True)
def singletons(world):
    first, second = world.manager.get_dict(), world.connect().get_dict()
    first["key"] = "value"
    yield second["key"], second["always"], first._id == second._id
    del second["key"]
    queue = world.manager.get_queue()
    queue.put(Point(5, 6))
    yield world.connect().get_queue().get(timeout=5), queue.qsize()
    counter = world.manager.get_counter()
    before = counter.value()
    world.connect().get_counter().add()
    yield counter.value() - before


@step()
def without_callable(world):
    shared = world.manager.Bare([1, 2])
    shared.append(3)
    yield shared._getvalue(), shared.index(3), sorted(set(shared._exposed_))[:3]
    shared = world.manager.BareList([1, 2])
    shared.append(3)
    yield shared[:], outcome(world.manager.Bare), outcome(world.manager.Bare, 1, 2)
    yield outcome(world.manager.Bare, a=1), str(world.manager.Bare(Point(1, 2)))


@step(short=True)
def methods_that_return_proxies(world):
    shared = world.manager.Counter(5)
    child = shared.child()
    yield child.value(), child.add(), type(child).__name__, shared.value()
    shared.keep("item")
    copied = shared.copied()
    copied.append("in the copy")
    yield copied[:], type(copied).__name__, str(shared.copied())
    same = shared.shared()
    same.append("in the object")
    yield (
        same[:],
        shared.copied()[:],
        shared._callmethod("__len__") if "__len__" in dir(shared) else "not exposed",
    )
    iterator = shared.ticks(3)
    yield type(iterator).__name__, list(iterator), outcome(next, iterator)
    yield shared.shared()._id == same._id, len(same)


@step(short=True)
def iterators(world):
    shared = world.manager.Ticks(5)
    yield iter(shared) is shared, next(shared), shared.send("word"), next(shared)
    yield shared.throw(ValueError("thrown")), next(shared), list(shared)
    yield outcome(next, shared), outcome(shared.throw, KeyError("not caught"))
    yield shared.close(), outcome(next, shared)


@step()
def iterators_of_other_objects(world):
    shared = world.manager.Counter()
    yield next(shared.ticks(1)), [number for number in shared.ticks(50)][-1]
    yield list(zip(shared.ticks(3), world.manager.dict(a=1, b=2, c=3)))
    yield outcome(shared.ticks(2).send, 1).__class__.__name__


# The server of 3.8 cannot unpickle proxies whose type is made on the fly.
@step(since=(3, 9))
def methods_that_use_other_objects(world):
    shared, other = world.manager.Counter(), world.manager.Counter(10)
    plain = world.manager.list([1])
    yield shared.call(other, "add", 5), other.value()
    yield shared.call(plain, "append", 2), plain[:], shared.kind(plain)
    shared.keep(other)
    shared.keep(plain)
    back = shared.shared()
    yield (
        back[0].add(),
        other.value(),
        back[1][:],
        [item._id for item in back]
        == [
            other._id,
            plain._id,
        ],
    )
