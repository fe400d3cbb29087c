"""Steps: the other serializer, which knows plain values only."""

from __future__ import annotations

from battery import outcome, step


def bare(value):
    """Bytes arrive as an object of the module of the serializer."""
    return getattr(value, "data", value)


@step(serializer="xmlrpclib")
def xmlrpc_queue(world):
    shared = world.manager.get_queue()
    for value in (
        ("hello world", None, True, 2.25),
        "hall\u00e5 v\u00e4rlden",
        "\u043f\u0440\u0438\u0432\u0438\u0442 <&>",
        b"hall\xe5 v\xe4rlden \0",
        {"key": [1, {"inner": -5}]},
        2**31 - 1,
        "x" * 20000,
    ):
        shared.put(value)
        yield bare(shared.get())
    yield shared.qsize(), shared.empty(), shared.put("kept"), shared.qsize(), shared.get()


@step(serializer="xmlrpclib")
def xmlrpc_lists(world):
    shared = world.manager.list([1, "two"])
    shared.append([3, None])
    yield len(shared), shared[2], shared.pop(), str(shared), shared.count(1)
    shared.extend([5, 6])
    yield shared.index(5), shared._getvalue(), type(shared).__name__


@step(serializer="xmlrpclib")
def xmlrpc_dicts(world):
    shared = world.manager.dict({"a": 1})
    shared["b"] = [2]
    yield shared["b"], shared.get("c"), "a" in shared, len(shared), shared.copy(), shared.pop("a")
    first, second = world.manager.get_dict(), world.connect().get_dict()
    first["key"] = "value"
    yield second["key"], second["always"]


@step(serializer="xmlrpclib")
def xmlrpc_classes(world):
    shared = world.manager.Counter(5, step=2)
    yield shared.add(), shared.add(3), shared.add(count=1, times=2), shared.value(), str(shared)
    yield outcome(shared._callmethod, "no_such_method"), shared.same(1, "x", key=None)


@step(serializer="xmlrpclib")
def xmlrpc_counts(world):
    before = world.manager._number_of_objects()
    shared = world.manager.list()
    yield world.manager._number_of_objects() - before, len(shared)
    yield type(outcome(world.connect, authkey=b"wrong")).__name__
