"""Classes that managers of the tests have objects of, and those managers.

A module of its own, because the processes of managers and children import it too.
"""

from __future__ import annotations

import operator
import os
import threading
import time

from subject import managers


class MathsClass:
    """The example of the documentation."""

    def add(self, x, y):
        return x + y

    def mul(self, x, y):
        return x * y


class Foo:
    """The second example of the documentation."""

    def f(self):
        return "you called Foo.f()"

    def g(self):
        return "you called Foo.g()"

    def _h(self):
        return "you called Foo._h()"


def baz():
    for i in range(10):
        yield i * i


class GeneratorProxy(managers.BaseProxy):
    _exposed_ = ["__next__"]

    def __iter__(self):
        return self

    def __next__(self):
        return self._callmethod("__next__")


def get_operator_module():
    return operator


def echo():
    """A generator that can be talked to."""
    said = "nothing"
    while True:
        try:
            said = yield said
        except LookupError as problem:
            said = repr(problem)


class Counter:
    """Has a state, properties, and a lock of its own: it cannot be pickled."""

    def __init__(self, start=0):
        self.count = start
        self.lock = threading.Lock()

    def increment(self, by=1):
        with self.lock:
            before = self.count
            time.sleep(0)
            self.count = before + by
            return self.count

    def value(self):
        return self.count

    def process(self):
        return os.getpid()

    def keep(self, something):
        self.kept = something

    def give(self):
        return self.kept

    def sum_of_kept(self):
        return sum(self.kept)

    def __len__(self):
        return self.count

    def __repr__(self):
        return f"<a counter at {self.count}>"


class CounterProxy(managers.NamespaceProxy):
    """The recipe by which programs share attributes and methods alike."""

    _exposed_ = ("__getattribute__", "__setattr__", "__delattr__", "increment", "process")

    def increment(self, by=1):
        return self._callmethod("increment", (by,))

    def process(self):
        return self._callmethod("process")


class PropertyProxy(managers.BaseProxy):
    """A proxy with a property, an operator and a method that does more than its referent's."""

    _exposed_ = ("__getattribute__", "__len__", "increment")

    @property
    def count(self):
        return self._callmethod("__getattribute__", ("count",))

    def __len__(self):
        return self._callmethod("__len__")

    def increment_twice(self):
        self._callmethod("increment")
        return self._callmethod("increment", (), {"by": 1})


class Tree:
    """Methods that return objects of their own."""

    def __init__(self, name="root"):
        self.name = name
        self.items = [1, 2]
        self.branches = {}

    def get_name(self):
        return self.name

    def get_items(self):
        return self.items

    def copy_of_items(self):
        return self.items

    def shared_items(self):
        return self.items

    def branch(self, name):
        return self.branches.setdefault(name, Tree(name))

    def numbers(self, count):
        return iter(range(count))

    def fail(self):
        raise LookupError("no such branch")


class Unpicklable(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


class OwnError(Exception):
    def __init__(self, text, number):
        super().__init__(text, number)
        self.number = number


class Faulty:
    """Everything that can go wrong with a call."""

    def __init__(self, *problem):
        if problem:
            raise problem[0](*problem[1:])

    def value_error(self):
        raise ValueError("a value", 5)

    def own_error(self):
        raise OwnError("mine", 7)

    def chained_error(self):
        try:
            self.value_error()
        except ValueError as problem:
            raise KeyError("key") from problem

    def attribute_error(self):
        raise AttributeError("of the method's own")

    def unpicklable_error(self):
        raise Unpicklable("stays there")

    def unpicklable_result(self):
        return threading.Lock()

    def unpicklable_item(self):
        return [1, {2: lambda: None}]

    def nothing(self, *args, **kwds):
        return None

    def __str__(self):
        return "a faulty thing"

    def __repr__(self):
        return "<faulty>"


_the_list = [1, 2, 3]
_the_lock = threading.Lock()
_the_condition = threading.Condition(threading.RLock())


def get_list():
    return _the_list


def get_lock():
    return _the_lock


def get_condition():
    return _the_condition


class Registry:
    """An object that makes others: its bound methods are what a server registers."""

    def __init__(self):
        self.jobs = []

    def add(self, job, times=1):
        self.jobs += [job] * times
        return self

    def count(self):
        return len(self.jobs)


def make_of_nested(shared):
    """A constructor that works on an object of the same manager."""
    shared.append("seen")
    return Counter(len(shared))


def hand_out(proxy):
    return proxy


class Managers(managers.SyncManager):
    pass


Managers.register("Maths", MathsClass)
Managers.register("Foo1", Foo)
Managers.register("Foo2", Foo, exposed=("g", "_h"))
Managers.register("baz", baz, proxytype=GeneratorProxy)
Managers.register("echo", echo, proxytype=managers.IteratorProxy)
Managers.register("operator", get_operator_module)
Managers.register("Counter", Counter)
Managers.register("CounterNamespace", Counter, CounterProxy)
Managers.register("CounterProperty", Counter, PropertyProxy)
Managers.register("Faulty", Faulty)
Managers.register("Share", proxytype=None, create_method=False)
Managers.register("SharedList", proxytype=managers.ListProxy, create_method=False)
Managers.register(
    "Tree",
    Tree,
    method_to_typeid={
        "copy_of_items": "list",
        "shared_items": "SharedList",
        "branch": "Branch",
        "numbers": "Iterator",
        "fail": "Branch",
    },
)
Managers.register("Branch", method_to_typeid={"branch": "Branch", "shared_items": "SharedList"})
Managers.register("get_list", get_list, managers.ListProxy)
Managers.register("get_lock", get_lock, managers.AcquirerProxy)
Managers.register("auto_lock", get_lock)
Managers.register("get_condition", get_condition, managers.ConditionProxy)
Managers.register("make_of_nested", make_of_nested)
Managers.register("hand_out", hand_out)
Managers.register("mylist", list, managers.ListProxy)
Managers.register("mydict", dict, managers.DictProxy)


class ConnectingManager(managers.BaseManager):
    """A client that knows names only."""


for _name in ("Maths", "Counter", "get_list", "Tree", "Branch"):
    ConnectingManager.register(_name)
for _name in ("SharedList", "list", "Iterator"):
    ConnectingManager.register(_name, create_method=False)


# What children do.


def notify(condition):
    with condition:
        condition.notify_all()


def increment_often(counter, times):
    for _ in range(times):
        counter.increment()
    return os.getpid()


def call_method(proxy, method, *args):
    return getattr(proxy, method)(*args)


def text_and_type(proxy):
    return type(proxy).__name__, str(proxy)


def increment_namespace(counter):
    counter.increment(2)
    counter.count += 10
    counter.note = "from a child"
    return counter.process(), counter.count


def use_nested(tree):
    """Proxies that come out of methods, in a process that did not make the tree."""
    branch = tree.branch("left")
    twig = branch.branch("leaf")
    tree.shared_items().append(3)
    return (
        branch.get_name(),
        twig.get_name(),
        list(tree.numbers(4)),
        tree.copy_of_items()[:],
        tree.get_items(),
    )


def consume(iterator):
    return list(iterator)


def square(x):
    return x * x


def add(x, y):
    return x + y


def fail_in_pool(x):
    raise ArithmeticError("in the pool", x)


def sleep_for(seconds):
    time.sleep(seconds)
    return os.getpid()


def remember_process(shared):
    shared.append(os.getpid())


def fill_block(name, text):
    from multiprocessing import shared_memory

    block = shared_memory.SharedMemory(name)
    block.buf[: len(text)] = text
    block.close()


def use_pool(pool):
    return pool.map(square, range(5)), pool.apply_async(add, (1, 2)).get(10)
