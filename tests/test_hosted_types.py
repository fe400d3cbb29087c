"""Objects of any class behind proxies, as programs register them."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import re
import subprocess
import sys
import threading
import time

import hosted_types
import marks
import pytest
import subject
from subject import managers

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def hosting():
    """A started manager of the classes in `hosted_types`."""
    with hosted_types.Managers(ctx=FORK) as started:
        yield started


@pytest.fixture
def hosting_of_context(context):
    """The same, its process and the test's `context` of the same start method."""
    with hosted_types.Managers(ctx=context) as started:
        yield started


# The examples of the documentation.


def test_maths_class():
    class MyManager(managers.BaseManager):
        pass

    MyManager.register("Maths", hosted_types.MathsClass)
    with MyManager(ctx=FORK) as manager:
        maths = manager.Maths()
        assert maths.add(4, 3) == 7
        assert maths.mul(7, 8) == 56
        assert maths.add("a", y="b") == "ab"


def test_public_methods_are_exposed(hosting):
    foo = hosting.Foo1()
    assert foo.f() == "you called Foo.f()"
    assert foo.g() == "you called Foo.g()"
    assert not hasattr(foo, "_h")
    assert sorted(foo._exposed_) == ["f", "g"]
    assert type(foo).__name__ == "AutoProxy[Foo1]" and isinstance(foo, managers.BaseProxy)
    assert foo._isauto is True


def test_other_methods_are_exposed_on_request(hosting):
    foo = hosting.Foo2()
    assert foo.g() == "you called Foo.g()"
    assert foo._h() == "you called Foo._h()"
    assert not hasattr(foo, "f")
    assert {"g", "_h"} <= set(dir(foo)) and "f" not in dir(foo)
    assert sorted(foo._exposed_) == ["_h", "g"]


def test_generator(hosting):
    assert list(hosting.baz()) == [i * i for i in range(10)]


def test_module(hosting):
    module = hosting.operator()
    assert module.add(23, 45) == 68
    assert module.pow(2, 94) == 2**94
    assert "itemgetter" in module._exposed_ and "__add__" not in module._exposed_


def test_iterator_proxy(hosting):
    talk = hosting.echo()
    assert iter(talk) is talk
    assert next(talk) == "nothing"
    assert talk.send({"a": 1}) == {"a": 1}
    assert talk.throw(KeyError("k")) == "KeyError('k')"
    with pytest.raises(ValueError, match="^v$"):
        talk.throw(ValueError("v"))
    with pytest.raises(StopIteration):
        next(talk)
    assert talk.close() is None


# One object, many proxies and processes.


def test_one_object_for_all(hosting_of_context, context, processes):
    counter = hosting_of_context.Counter()
    children = [
        processes.start(context, hosted_types.increment_often, counter, 50) for _ in range(2)
    ]
    pids = {child.result() for child in children}
    assert counter.value() == 100
    assert counter.process() == hosting_of_context._process.pid
    assert len(pids | {os.getpid(), hosting_of_context._process.pid}) == 4


def test_threads(hosting):
    counter = hosting.Counter()
    threads = [
        threading.Thread(target=hosted_types.increment_often, args=(counter, 50)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value() == 200


def test_pickled_and_copied(hosting):
    counter = hosting.Counter(5)
    for other in (pickle.loads(pickle.dumps(counter)), copy.copy(counter)):
        assert other is not counter and other != counter and other._id == counter._id
        assert type(other) is type(counter)
        assert other.increment() == counter.value()
    assert counter.value() == 7


def test_bound_method_is_pickled(hosting_of_context, context, processes):
    counter = hosting_of_context.Counter()
    assert processes.run(context, hosted_types.call_method, counter.increment, "__call__", 3) == 3
    assert counter.value() == 3


def test_texts(hosting):
    counter = hosting.Counter(3)
    assert subject.without_addresses(repr(counter)) == (
        "<AutoProxy[Counter] object, typeid 'Counter' at 0x...>"
    )
    assert str(counter) == "<a counter at 3>"
    assert counter._callmethod("__str__") == "<a counter at 3>"


def test_proxies_in_values(hosting):
    outer = hosting.list([hosting.Counter(1), {"two": hosting.Counter(2)}])
    assert outer[0].increment() == 2
    assert outer[1]["two"].increment() == 3
    assert outer[0].value() == 2
    inner = hosting.list([1, 2, 3])
    counter = hosting.Counter()
    counter.keep(inner)
    inner.append(4)
    assert counter.give()[:] == [1, 2, 3, 4]
    assert counter.sum_of_kept() == 10


def test_objects_go_with_their_last_proxy(hosting):
    counter, maths = hosting.Counter(), hosting.Maths()
    assert hosting._number_of_objects() == 2
    del counter
    assert subject.objects_left(hosting, 1) == 1
    assert maths.add(1, 1) == 2
    del maths
    assert subject.objects_left(hosting) == 0


def test_debug_info(hosting):
    keep = [hosting.Counter(1), hosting.list([1])]
    texts = hosting._debug_info().split("\n")
    assert sorted(texts[1::2]) == ["    <a counter at 1>", "    [1]"]
    for proxy in keep:
        assert any(re.match(rf"  {proxy._id}:       refcount=\d+$", line) for line in texts)


# Proxy types of one's own.


def test_namespace_proxy(hosting_of_context, context, processes):
    counter = hosting_of_context.CounterNamespace(1)
    assert isinstance(counter, managers.NamespaceProxy)
    assert counter.count == 1 and counter.increment(2) == 3
    pid, count = processes.run(context, hosted_types.increment_namespace, counter)
    assert pid == hosting_of_context._process.pid and count == 15
    assert counter.count == 15 and counter.note == "from a child"
    del counter.note
    with pytest.raises(AttributeError, match="'Counter' object has no attribute 'note'"):
        counter.note
    counter._own = 1
    assert counter._own == 1


def test_property_proxy(hosting):
    counter = hosting.CounterProperty()
    assert counter.increment_twice() == 2
    assert counter.count == len(counter) == 2
    assert bool(counter)
    assert pickle.loads(pickle.dumps(counter)).count == 2


def test_callmethod_of_ones_own(hosting):
    calls = []

    class Noting(hosted_types.PropertyProxy):
        def _callmethod(self, name, args=(), kwds={}):
            calls.append((name, args, kwds))
            return managers.BaseProxy._callmethod(self, name, args, kwds)

    counter = hosting.Counter(1)
    noting = Noting(counter._token, counter._serializer, authkey=hosting._authkey)
    counter.increment()
    with pytest.raises(managers.RemoteError):
        # The exposed methods are those of the referent, whatever a proxy says.
        len(noting)
    assert noting.increment_twice() == 4
    assert calls == [
        ("__len__", (), {}),
        ("increment", (), {}),
        ("increment", (), {"by": 1}),
    ]


def test_make_proxy_type(hosting):
    made = managers.MakeProxyType("Made", ("increment", "value"))
    assert made is managers.MakeProxyType("Made", ["increment", "value"])
    assert made.__name__ == "Made" and issubclass(made, managers.BaseProxy)
    assert made._exposed_ == ("increment", "value")
    counter = hosting.Counter()
    other = made(counter._token, "pickle", authkey=hosting._authkey)
    assert other.increment(by=4) == 4 == counter.value()


def test_auto_proxy_asks_for_the_methods(hosting):
    foo = hosting.Foo2()
    auto = managers.AutoProxy(foo._token, "pickle", authkey=bytes(hosting._authkey))
    assert sorted(auto._exposed_) == ["_h", "g"]
    assert auto._h() == "you called Foo._h()"


def test_auto_proxy_can_be_replaced(hosting, monkeypatch):
    made = []
    original = managers.AutoProxy

    def replacement(*args, **kwds):
        made.append(args[0].typeid)
        return original(*args, **kwds)

    monkeypatch.setattr(managers, "AutoProxy", replacement)

    class Late(hosted_types.Managers):
        pass

    Late.register("Late", hosted_types.Counter)
    with Late(ctx=FORK) as manager:
        assert manager.Late(5).value() == 5
    assert made == ["Late"]


# Methods that return objects of their own.


def test_methods_that_return_proxies(hosting):
    tree = hosting.Tree()
    copied = tree.copy_of_items()
    assert isinstance(copied, managers.ListProxy) and copied[:] == [1, 2]
    copied.append(3)
    assert tree.get_items() == [1, 2]
    shared = tree.shared_items()
    assert isinstance(shared, managers.ListProxy)
    shared.append(3)
    assert shared[:] == tree.get_items() == [1, 2, 3] and len(shared) == 3
    assert shared._id != tree.copy_of_items()._id
    branch = tree.branch("left")
    assert type(branch).__name__ == "AutoProxy[Branch]" and branch.get_name() == "left"
    assert branch.branch("leaf").get_name() == "leaf"
    assert tree.branch("left")._id == branch._id
    assert list(tree.numbers(3)) == [0, 1, 2]
    with pytest.raises(LookupError, match="no such branch"):
        tree.fail()


@marks.coheld_only
def test_methods_that_return_proxies_in_any_process(hosting_of_context, context, processes):
    """Stock: 'NoneType' object has no attribute '_registry'."""
    tree = hosting_of_context.Tree()
    left, leaf, numbers, copied, items = processes.run(context, hosted_types.use_nested, tree)
    assert (left, leaf, numbers) == ("left", "leaf", [0, 1, 2, 3])
    assert copied == items == tree.get_items() == [1, 2, 3]


def test_exposed_has_the_methods_with_typeids(hosting):
    tree = hosting.Tree()
    assert sorted(tree._exposed_) == sorted(
        [
            *managers.public_methods(hosted_types.Tree()),
            *("copy_of_items", "shared_items", "branch", "numbers", "fail"),
        ]
    )


# Callables.


def test_callables_that_return_what_the_module_has(hosting):
    first, second = hosting.get_list(), hosting.get_list()
    first.append(4)
    assert second[:] == [1, 2, 3, 4] and first._id == second._id
    first += [5]
    assert len(second) == 5 and second.pop() == 5


def test_auto_proxy_of_a_lock(hosting):
    lock, auto = hosting.get_lock(), hosting.auto_lock()
    assert {"acquire", "release", "locked"} <= set(auto._exposed_)
    with lock:
        assert auto.locked() is True
        assert auto.acquire(False) is False
        assert auto.acquire(timeout=0.05) is False
    assert auto.acquire() is True
    assert lock.acquire(False) is False
    auto.release()


def test_condition_belongs_to_the_calling_thread(hosting_of_context, context, processes):
    condition = hosting_of_context.get_condition()
    with condition:
        assert condition.acquire()
        condition.release()
        child = processes.start(context, hosted_types.notify, condition)
        assert condition.wait(20) is True
    child.result()
    with pytest.raises(RuntimeError, match="un-acquired lock"):
        condition.notify()


def test_bound_methods_as_callables():
    jobs = hosted_types.Registry()

    class Jobs(managers.BaseManager):
        pass

    Jobs.register("add", callable=jobs.add)
    with Jobs(ctx=FORK) as manager:
        manager.add("a", times=2)
        assert manager.add("b").count() == 3
    assert jobs.count() == 0


@marks.coheld_only
def test_constructor_that_uses_the_same_manager(hosting):
    """The stock server waits for itself for ever where one of these iterates a dict."""
    shared = hosting.list(["first"])
    assert hosting.make_of_nested(shared).value() == 2
    assert shared[:] == ["first", "seen"]
    assert sorted(hosting.mylist(hosting.dict(a=1, b=2))) == ["a", "b"]


def test_callable_that_returns_a_proxy(hosting):
    shared = hosting.list([1])
    handed = hosting.hand_out(shared)
    assert handed._token.typeid == "hand_out"
    handed.append(2)
    assert shared[:] == [1, 2]


def test_builtins_under_other_names(hosting):
    shared, mapping = hosting.mylist([1]), hosting.mydict(a=1)
    assert type(shared) is managers.ListProxy and type(mapping) is managers.DictProxy
    shared += [2]
    mapping.update(b=2)
    assert shared[:] == [1, 2] and mapping.copy() == {"a": 1, "b": 2}
    assert "typeid 'mylist'" in repr(shared)


# Clients that only connect.


def test_clients_that_know_names_only(hosting):
    client = hosted_types.ConnectingManager(hosting.address, hosting._authkey)
    client.connect()
    assert client.Maths().add(1, 2) == 3
    counter = client.Counter(3)
    assert counter.increment() == 4
    shared = client.get_list()
    shared.extend([4])
    assert len(shared) == 4 and shared[-1] == 4
    with pytest.raises(managers.RemoteError, match="KeyError: 'Unknown'"):
        client._create("Unknown")
    branch = client.Tree().branch("b")
    assert branch.get_name() == "b" and branch.shared_items()[:] == [1, 2]


def test_client_in_an_unrelated_process(hosting, tmp_path):
    script = tmp_path / "client.py"
    script.write_text(
        "import sys\n"
        f"from {managers.__name__} import BaseManager\n"
        "class Client(BaseManager): pass\n"
        "Client.register('Counter')\n"
        "client = Client(address=sys.argv[1], authkey=bytes.fromhex(sys.argv[2]))\n"
        "client.connect()\n"
        "counter = client.Counter(40)\n"
        "print(counter.increment(2), counter)\n"
    )
    done = subprocess.run(
        [sys.executable, script, hosting.address, bytes(hosting._authkey).hex()],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.stdout, done.stderr) == ("42 <a counter at 42>\n", "")
    assert subject.objects_left(hosting) == 0


# Blocking methods.


def test_a_method_that_blocks_blocks_its_caller_only(hosting):
    lock = hosting.get_lock()
    assert lock.acquire()
    waiting = threading.Thread(target=lock.acquire)
    waiting.start()
    begin = time.monotonic()
    assert hosting.Maths().add(1, 1) == 2
    assert time.monotonic() - begin < 5
    lock.release()
    waiting.join(10)
    assert not waiting.is_alive()
    lock.release()


def test_shutdown_while_a_method_runs(context):
    manager = hosted_types.Managers(ctx=context)
    manager.start()
    lock = manager.get_lock()
    lock.acquire()
    problems = []

    def wait():
        try:
            lock.acquire()
        except Exception as problem:
            problems.append(problem)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.2)
    manager.shutdown()
    waiting.join(10)
    assert not waiting.is_alive() and len(problems) == 1
    assert isinstance(problems[0], (EOFError, ConnectionError))
    assert manager._process.exitcode in (0, -15)
