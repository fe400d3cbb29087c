"""Objects of another process, used through transparent proxies as if they were here."""

from __future__ import annotations

import copy
import functools
import multiprocessing
import operator
import os

import coheld
import marks
import proxy_classes as classes
import pytest
import subject
from coheld import proxy
from coheld.proxy import LimitedProxyChaining, Proxy, ProxyError, ProxyServer

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def server():
    with ProxyServer(bufsize=200) as started:
        yield started


def far(processes, context, function, *args):
    """Run a function with proxies in another process."""
    return processes.run(context, function, *args)


# Attributes and methods, for every start method.


def use(service):
    assert proxy.is_proxy(service)
    assert issubclass(type(service), Proxy)
    assert service.process() != os.getpid()
    assert service.number == 100
    service.number = 4.5
    assert (service.number, service.square) == (4.5, 20.25)
    service.new = (1, (2, b"3"), {4})
    assert service.new == (1, (2, b"3"), {4})
    del service.new
    assert not hasattr(service, "new")
    assert getattr(service, "new", "none") == "none"
    with pytest.raises(AttributeError):
        del service.new
    assert service.kind == "service"
    assert service.add(1) == 2
    assert service.add(x=1, y=3) == 4
    assert service.twice(4) == 8
    assert service.named() == "Service"
    assert [service.count(), service.count()] == [1, 2]
    assert service.inner.value == 7
    service.inner.value = 8
    assert service.the_inner().value == 8
    return True


def test_attributes_and_methods(server, processes, context):
    service = classes.Service()
    shared = server.create_proxy(service)
    assert far(processes, context, use, shared)
    assert service.number == 4.5
    assert service.inner.value == 8


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        2**64,
        -(2**200),
        1.5,
        float("inf"),
        2j,
        "text",
        "<proxy>-no",
        "<callable>-no",
        b"bytes",
        bytearray(b"x"),
        (),
        (1, (2, [3])),
        [1, (2,)],
        {1: 2, (3, 4): [5]},
        {1, 2},
        frozenset({3}),
        range(3),
        slice(1, 2),
        Ellipsis,
        NotImplemented,
        int,
        ValueError,
        classes.Vector(1, 2),
        "x" * 1_000_000,
        list(range(10_000)),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_values_keep_their_types(server, processes, value):
    """Of any size: the buffer is 200 bytes here."""
    shared = server.create_proxy(classes.Service())

    def exchange(service):
        back = service.give(value)
        service.attribute = value
        return type(back), back, service.attribute, service.echo(value, key=value)

    kind, back, attribute, echo = far(processes, FORK, exchange, shared)
    assert kind is type(value)
    assert back == value and attribute == value
    assert echo == ((value,), {"key": value})


def test_operators(server, processes, context):
    vector = server.create_proxy(classes.Vector(1, 2, 3))
    assert far(processes, context, use_operators, vector, server.create_proxy([1, 2, 3]))


def use_operators(vector, numbers):
    Vector = classes.Vector
    assert vector == Vector(1, 2, 3) and not vector != Vector(1, 2, 3)
    assert vector + Vector(1, 1, 1) == Vector(2, 3, 4)
    assert Vector(1, 1, 1) + vector == Vector(2, 3, 4)
    assert 2 * vector == Vector(2, 4, 6)
    assert -vector == Vector(-1, -2, -3)
    assert len(vector) == 3 and bool(vector)
    assert vector[0] == 1 and vector[0:2] == [1, 2] and vector[-1] == 3
    vector[0] = 5
    del vector[1]
    assert list(vector) == [5, 3] and 3 in vector and 4 not in vector
    assert repr(vector) == str(vector) == f"{vector}" == "Vector(5, 3)"
    assert vector(1, 2) == 2
    same = vector
    vector += Vector(1, 1)
    assert vector is same and vector == Vector(6, 4)
    with pytest.raises(TypeError):
        vector + 1
    with pytest.raises(TypeError):
        hash(vector)
    with pytest.raises(TypeError):
        vector < vector
    with pytest.raises(IndexError):
        vector[9]
    assert isinstance(vector, Vector) and isinstance(vector, Proxy)
    assert vector.__class__ is Vector and type(vector) is not Vector

    assert list(numbers) == [1, 2, 3]
    numbers.append(4)
    assert list(numbers) == [1, 2, 3, 4] and numbers == [1, 2, 3, 4]
    assert [0] + numbers == [0, 1, 2, 3, 4] and numbers + [5] == [1, 2, 3, 4, 5]
    assert list(reversed(numbers)) == [4, 3, 2, 1]
    assert sorted(numbers, reverse=True) == [4, 3, 2, 1] and sum(numbers) == 10
    assert list(map(operator.neg, numbers)) == [-1, -2, -3, -4]
    numbers.sort(key=operator.neg)
    assert numbers == [4, 3, 2, 1] and isinstance(numbers, list)
    assert "append" in dir(numbers)
    first, *rest = numbers
    assert (first, rest) == (4, [3, 2, 1])
    assert copy.copy(numbers) == [4, 3, 2, 1]
    assert copy.deepcopy(numbers) == [4, 3, 2, 1]
    return True


def test_one_argument_makes_a_proxy_of_an_iterable(processes, context):
    """The example of Duck's to-do list."""
    numbers = [1, 2, 3]
    assert far(processes, context, append_four, Proxy(numbers)) == [1, 2, 3, 4]
    assert numbers == [1, 2, 3, 4]


def append_four(numbers):
    assert list(numbers) == [1, 2, 3]
    numbers.append(4)
    return list(numbers)


@pytest.mark.parametrize("target", [[], {}, set(), 0, "", False, (), 0.0], ids=repr)
def test_falsy_targets(server, processes, target):
    shared = server.create_proxy(target)

    def look(shared):
        return bool(shared), shared == target, repr(shared), isinstance(shared, type(target))

    assert far(processes, FORK, look, shared) == (False, True, repr(target), True)


def test_methods_that_return_none(server, processes):
    shared = server.create_proxy(classes.Quiet())
    assert far(processes, FORK, lambda quiet: (quiet.nothing(), bool(quiet)), shared) == (
        None,
        False,
    )


def test_dicts_and_generators(server, processes):
    shared = server.create_proxy({"a": 1})
    service = server.create_proxy(classes.Service())

    def look(shared, service):
        with pytest.raises(KeyError) as caught:
            shared["zz"]
        assert caught.value.args == ("zz",)
        shared["b"] = 2
        assert dict(shared.items()) == {"a": 1, "b": 2}
        assert list(shared.keys()) == ["a", "b"] and list(shared) == ["a", "b"]
        assert shared | {"c": 3} == {"a": 1, "b": 2, "c": 3}
        numbers = service.numbers(4)
        assert proxy.is_proxy(numbers)
        assert next(numbers) == 0
        assert list(numbers) == [1, 2, 3] and list(numbers) == []
        with pytest.raises(StopIteration):
            next(numbers)
        return True

    assert far(processes, FORK, look, shared, service)


def test_items_are_taken_when_their_turn_comes(server):
    """A generator of the object is not run ahead of whoever iterates."""
    taken = []

    class Source:
        def numbers(self):
            for number in range(10):
                taken.append(number)
                yield number

    for number in server.create_proxy(Source()).numbers():
        assert taken == list(range(number + 1))


def test_context_managers(server, processes):
    target = classes.Managed()
    shared = proxy.share(target)
    assert target.events == []

    def use(shared):
        with shared as entered:
            assert entered == "entered"
        with shared:
            raise ValueError("is swallowed")
        with pytest.raises(KeyError):
            with shared:
                raise KeyError("is not")
        return shared.events

    found = far(processes, FORK, use, shared)
    assert found == ["enter", None, "enter", "ValueError", "enter", "KeyError"]


def test_callables(server, processes):
    total = []

    def add(x, y=0):
        total.append(x + y)
        return x + y

    shared = server.create_proxy(add)
    partial = server.create_proxy(functools.partial(operator.add, 40))
    method = server.create_proxy(total.append)
    assert far(processes, FORK, lambda add: add(1, y=2), shared) == 3
    assert far(processes, FORK, lambda partial: partial(2), partial) == 42
    far(processes, FORK, lambda append: append("x"), method)
    assert total == [3, "x"]


def test_attributes_that_are_called(server, processes):
    class Holder:
        partial = staticmethod(functools.partial(operator.add, 40))

        def __init__(self):
            self.hook = lambda x: (os.getpid(), x)
            self.made = classes.Unpicklable

    shared = server.create_proxy(Holder())

    def use(shared):
        return shared.partial(2), shared.hook(1), shared.made(3).value, shared.made

    partial, (where, number), value, kind = far(processes, FORK, use, shared)
    assert (partial, number, value, kind) == (42, 1, 3, classes.Unpicklable)
    assert where == os.getpid()


def test_classes_as_targets(server, processes):
    shared = server.create_proxy(classes.Unpicklable)

    def use(shared):
        made = shared(5)
        return made.value, proxy.is_proxy(made), isinstance(made, classes.Unpicklable)

    assert far(processes, FORK, use, shared) == (5, True, True)
    assert classes.Unpicklable(1).value == 1


# Chaining.


def test_identity_is_kept(server, processes):
    service = classes.Service()
    shared = server.create_proxy(service)

    def use(shared):
        assert shared.myself() is shared
        assert shared.inner == shared.the_inner()
        assert shared.is_inner(shared.inner)
        assert not shared.is_inner(shared.make())
        assert shared.kind_of(shared.inner) == "Unpicklable"
        return True

    assert far(processes, FORK, use, shared)


def test_chains_are_limited(server, processes):
    shared = server.create_proxy(classes.Node())

    def walk(node):
        for depth in range(1, 8):
            node = node.next
            assert node.value == depth
        with pytest.raises(LimitedProxyChaining) as caught:
            node.next
        assert caught.value.max_level == 7
        assert isinstance(caught.value, ProxyError)
        return True

    assert far(processes, FORK, walk, shared)
    server._proxy_chaining_max_level = 2
    another = server.create_proxy(classes.Node())

    def walk_on(node):
        node = node.next.next
        with pytest.raises(LimitedProxyChaining):
            node.next
        return True

    assert far(processes, FORK, walk_on, another)
    # Where it is, an object is itself.
    assert type(another.next.next.next) is classes.Node


def test_intermediate_objects_go_with_their_proxies(server, processes):
    shared = server.create_proxy(classes.Service())
    process = processes.run(FORK, make_many, shared)
    assert process
    # What remains is what the server has.
    domain = server._domain
    assert subject.wait_until(lambda: len(domain._records) == 1)


def make_many(service):
    for number in range(300):
        assert service.make(number).value == number
    return True


# Exposure.


def test_private_names_are_refused(server, processes):
    shared = server.create_proxy(classes.Service())

    def use(shared):
        for name in ("_private", "__dict__", "__secret__", "__globals__", "__subclasses__"):
            with pytest.raises(AttributeError):
                getattr(shared, name)
        with pytest.raises(AttributeError, match=r"begin with '_'.*exposed"):
            shared._private
        with pytest.raises(ProxyError):
            shared._private = 1
        with pytest.raises(AttributeError):
            del shared._private
        with pytest.raises(AttributeError):
            shared.add.__globals__
        assert "_private" not in dir(shared) and "add" in dir(shared)
        return True

    assert far(processes, FORK, use, shared)


def test_only_what_is_exposed(server, processes):
    service = classes.Service()
    shared = server.create_proxy(service, exposed=["add", "_private"])

    def use(shared):
        assert shared.add(1) == 2 and shared._private == "private"
        for name in ("number", "give"):
            with pytest.raises(AttributeError, match="exposed only: _private, add"):
                getattr(shared, name)
        with pytest.raises(AttributeError):
            shared.number = 1
        return True

    assert far(processes, FORK, use, shared)
    assert service.number == 100


def test_read_only(server, processes):
    service = classes.Service()
    numbers = [1, 2]
    shared = server.create_proxy(service, readonly=True)
    fixed = server.create_proxy(numbers, readonly=True)

    def use(shared, fixed):
        assert shared.number == 100 and shared.add(1) == 2
        with pytest.raises(AttributeError, match="readonly"):
            shared.number = 1
        with pytest.raises(AttributeError, match="readonly"):
            del shared.number
        with pytest.raises(AttributeError, match="readonly"):
            shared.inner.value = 1
        assert fixed[0] == 1
        with pytest.raises((AttributeError, TypeError)):
            fixed[0] = 5
        return True

    assert far(processes, FORK, use, shared, fixed)
    assert service.number == 100 and service.inner.value == 7 and numbers == [1, 2]


def test_names_for_exposure_are_checked(server):
    with pytest.raises(TypeError, match="one by one"):
        server.create_proxy(classes.Service(), exposed="add")
    with pytest.raises(TypeError):
        server.create_proxy(classes.Service(), exposed=[1])


# Errors.


@pytest.mark.parametrize(
    "kind, args",
    [
        (KeyError, ("k1",)),
        (ValueError, ("bad", 2)),
        (ZeroDivisionError, ()),
        (OSError, (2, "No such file", "name")),
        (UnicodeDecodeError, ("utf-8", b"\xff", 0, 1, "why")),
        (TimeoutError, ("late",)),
        (AssertionError, ()),
        (classes.OddError, (3, "detail")),
        (LookupError, ("x",)),
    ],
)
def test_errors_are_of_both_types(server, processes, kind, args):
    shared = server.create_proxy(classes.Service())

    def fail(shared):
        try:
            shared.fail(kind, *args)
        except ProxyError as error:
            assert isinstance(error, kind)
            assert error.args == kind(*args).args and str(error) == str(kind(*args))
            assert "in fail" in error.remote_traceback
            assert "in fail" in str(error.__cause__)
            return getattr(error, "errno", None), getattr(error, "code", None)
        return None

    expected = getattr(kind(*args), "errno", None), getattr(kind(*args), "code", None)
    assert far(processes, FORK, fail, shared) == expected


def test_errors_travel_on(server, processes):
    """An error that was raised here by a proxy is what it is in the next process, too."""
    shared = server.create_proxy(classes.Service())
    with pytest.raises(KeyError) as caught:
        far(processes, FORK, lambda shared: shared.fail(KeyError, "k"), shared)
    assert isinstance(caught.value, ProxyError)


def test_errors_that_do_not_pickle(server, processes):
    shared = server.create_proxy(classes.Service())

    def fail(shared):
        with pytest.raises(KeyError) as caught:
            shared.fail(classes.LocalError, "k")
        assert isinstance(caught.value, ProxyError)
        assert "in fail" in str(caught.value.__cause__)
        for kind in (SystemExit, KeyboardInterrupt, GeneratorExit):
            with pytest.raises(ProxyError, match=kind.__name__):
                shared.fail(kind)
        return shared.add(1)

    assert far(processes, FORK, fail, shared) == 2


# `coheld.share`.


def test_share(processes, context):
    service = classes.Service()
    assert far(processes, context, use_shared, coheld.share(service))
    assert service.number == 1


def use_shared(service):
    service.number = 1
    assert type(service).__name__ == "SharedProxy"
    return True


def test_shared_twice_is_shared_once():
    service = classes.Service()
    one, two = coheld.share(service), coheld.share(service)
    assert one == two and one is not two


def test_names_of_the_object_come_first_with_share(processes):
    class File:
        def __init__(self):
            self.closed = False
            self.idx = 3

        def close(self):
            self.closed = True

    file = File()
    shared = coheld.share(file)
    assert far(processes, FORK, lambda file: (file.idx, file.close()), shared) == (3, None)
    assert file.closed


def test_is_proxy():
    service = classes.Service()
    assert proxy.is_proxy(coheld.share(service))
    assert not proxy.is_proxy(service) and not proxy.is_proxy(Proxy)
