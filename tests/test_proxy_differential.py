"""Random programs that use an object, once directly and once through a proxy: what they see is the
same."""

from __future__ import annotations

import builtins
import collections
import copy
import datetime
import decimal
import fractions
import functools
import itertools
import multiprocessing
import operator
import random
import re

import coheld
import marks
import pytest
from coheld import proxy

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")

#: Ready-made targets.
BUILTIN = {
    "int": lambda: 12,
    "bool": lambda: True,
    "float": lambda: -2.5,
    "complex": lambda: 1 + 2j,
    "str": lambda: "some text",
    "bytes": lambda: b"bytes",
    "bytearray": lambda: bytearray(b"bytes"),
    "list": lambda: [3, 1, 2, 1],
    "tuple": lambda: (1, "two", 3.0),
    "dict": lambda: {"a": 1, 2: [3], (4, 5): None},
    "set": lambda: {1, 2, 3},
    "frozenset": lambda: frozenset("abc"),
    "range": lambda: range(2, 20, 3),
    "deque": lambda: collections.deque([1, 2, 3], maxlen=4),
    "Counter": lambda: collections.Counter("hello"),
    "OrderedDict": lambda: collections.OrderedDict(a=1, b=2),
    "defaultdict": lambda: collections.defaultdict(list, a=[1]),
    "Fraction": lambda: fractions.Fraction(3, 4),
    "Decimal": lambda: decimal.Decimal("1.50"),
    "date": lambda: datetime.date(2024, 2, 29),
    "timedelta": lambda: datetime.timedelta(days=1, seconds=5),
    "Pattern": lambda: re.compile("a(b+)"),
    "generator": lambda: (x * x for x in range(5)),
    "partial": lambda: functools.partial(operator.add, 40),
}

BUILTIN_CLASSES = {thing for thing in vars(builtins).values() if isinstance(thing, type)}

#: What programs pass along.
ARGUMENTS = [0, 1, -1, 2, 3, 7, 1.5, "a", "e", "some", b"b", None, True, (1, 2), [1], {"a": 5}, {1}]

BINARY = [
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod),
    *(operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift),
    *(operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, divmod),
]
IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.ior, operator.iand]
UNARY = [
    *(len, bool, repr, str, hash, abs, int, float, complex, round, format, list, tuple, sorted),
    *(operator.neg, operator.pos, operator.invert, operator.index, iter, reversed, next, dict, set),
]
#: What depends on where an object is, or on more than it.
SKIPPED = {
    "sort",
    "popitem",
    "cr_frame",
    "gi_frame",
    "gi_code",
    "gi_running",
    "scanner",
    "isocalendar",
}

CLASS = """
class Random{number}:
    shared = {shared!r}

    def __init__(self):
        self.value = {value!r}
        self.items = {items!r}

    @property
    def doubled(self):
        return (self.value, self.value)

    def set_value(self, value={default!r}, *others, **named):
        self.value = value
        return others, named

    def fail(self, *args):
        raise {error}(*args)

    def fluent(self):
        return self

    def several(self, count=3):
        for number in range(count):
            yield number, self.value

    @classmethod
    def made(cls):
        return cls.__name__

    @staticmethod
    def joined(*args):
        return args
"""

SPECIALS = {
    "__len__": "return len(self.items)",
    "__bool__": "return {flag}",
    "__getitem__": "return self.items[{args}]",
    "__setitem__": "self.items.__setitem__({args})",
    "__delitem__": "del self.items[{args}]",
    "__contains__": "return {args} in self.items or {flag}",
    "__iter__": "return iter(self.items)",
    "__call__": "return self.value",
    "__add__": "return (self.value, {args})",
    "__radd__": "return ({args}, self.value)",
    "__iadd__": "self.items.append({args}); return self",
    "__eq__": "return {args} == self.value",
    "__hash__": "return 7",
    "__lt__": "return {flag}",
    "__neg__": "return -self.value",
    "__int__": "return 9",
    "__float__": "return 2.5",
    "__index__": "return 1",
    "__repr__": "return 'Random<%r, %r>' % (self.value, self.items)",
    "__str__": "return 'random'",
    "__getattr__": "return dynamic({args})",
}


def dynamic(name):
    if name.startswith("dynamic"):
        return name
    raise AttributeError(name)


ARITY = {"__setitem__": "key, value"}
NO_ARGUMENT = {
    *("__len__", "__bool__", "__iter__", "__neg__", "__int__", "__float__", "__index__"),
    *("__repr__", "__str__", "__hash__"),
}


def random_class(number, choose):
    """The source of a class with random special methods."""
    text = CLASS.format(
        number=number,
        shared=choose.choice(ARGUMENTS),
        value=choose.choice([1, 2.5, "text", (1,)]),
        items=choose.choice([[1, 2, 3], [], ["a", 1], [None]]),
        default=choose.choice(ARGUMENTS),
        error=choose.choice(["KeyError", "ValueError", "OSError", "LookupError"]),
    )
    # Without it, the text is an address.
    chosen = {"__repr__", *choose.sample(sorted(SPECIALS), choose.randrange(len(SPECIALS)))}
    for name in sorted(chosen):
        if name in NO_ARGUMENT:
            parameters, args = "", ""
        elif name == "__call__":
            parameters, args = ", *args", "args"
        else:
            args = ARITY.get(name, "other")
            parameters = f", {args}"
        body = SPECIALS[name].format(args=args, flag=choose.choice([True, False]))
        text += f"\n    def {name}(self{parameters}):\n        {body}\n"
    return text


def random_classes(seed, count):
    choose = random.Random(seed)
    for number in range(count):
        space = {"__name__": __name__, "dynamic": dynamic}
        exec(random_class(number, choose), space)
        kind = space[f"Random{number}"]
        # Where others look for it.
        kind.__qualname__ = f"Random{seed}_{number}"
        globals()[kind.__qualname__] = kind
        yield kind


def random_step(choose, names):
    """What to do next: in words, and as a function of the object."""
    arguments = copy.deepcopy(
        [choose.choice(ARGUMENTS) for _ in range(choose.choice([0, 1, 1, 2]))]
    )
    argument = copy.deepcopy(choose.choice(ARGUMENTS))
    kind = choose.randrange(10)
    if kind == 0:
        operation = choose.choice(UNARY)
        if operation is hash:
            # For most objects it is made from an address.
            return operation, lambda thing: hash(thing) == hash(thing)
        return operation, operation
    if kind in (1, 2, 3):
        operation = choose.choice(BINARY if kind < 3 else IN_PLACE)
        if kind == 2 and not (operation is operator.mod and isinstance(argument, (str, bytes))):
            # A format takes everything with items for a dict.
            return (argument, operation), lambda thing: operation(argument, thing)
        return (operation, argument), lambda thing: operation(thing, argument)
    if kind == 4:
        return choose.choice(
            [
                (("item", argument), lambda thing: thing[argument]),
                ("slice", lambda thing: thing[0:2]),
                (("set item", argument), lambda thing: operator.setitem(thing, argument, 1)),
                (("delete item", argument), lambda thing: operator.delitem(thing, argument)),
                (("contains", argument), lambda thing: argument in thing),
                (("call", arguments), lambda thing: thing(*arguments)),
                ("iterate", lambda thing: [*itertools.islice(thing, 4)]),
            ]
        )
    name = choose.choice(names)
    if kind == 5:
        # Not the methods: a proxy takes it for granted that they are what their class says.
        name = choose.choice(["value", "items", "extra"])
        return ("set", name, argument), lambda thing: setattr(thing, name, argument)
    if kind == 6:
        return ("delete", name), lambda thing: delattr(thing, name)
    if kind == 7:
        return ("has", name), lambda thing: (
            hasattr(thing, name),
            callable(getattr(thing, name, None)),
        )
    if kind == 8:
        return ("get", name), lambda thing: getattr(thing, name)
    return ("method", name, arguments), lambda thing: getattr(thing, name)(*arguments)


def outcome(step, thing):
    """What a step gives, in a form in which the two ways can be compared."""
    try:
        return "returned", form(step(thing), thing)
    except Exception as error:
        kind = next(base for base in type(error).__mro__ if base in BUILTIN_CLASSES)
        # Texts of these tell the class of the operand.
        return "raised", kind, "" if kind in (TypeError, AttributeError) else str(error)


def form(result, thing):
    if isinstance(result, (list, tuple)):
        return result.__class__, [form(item, thing) for item in result]
    if isinstance(result, (set, frozenset)):
        return result.__class__, sorted(map(repr, result))
    if hasattr(result, "__next__"):
        return "iterator", [form(item, thing) for item in itertools.islice(result, 50)]
    if callable(result) and not isinstance(result, type):
        return "callable"
    return result.__class__.__name__, repr(result) if is_telling(result) else ""


def is_telling(result):
    return " at 0x" not in text(result) and "<generator" not in text(result)


def text(thing):
    try:
        return repr(thing)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def compare(direct, shared, seed, steps):
    choose = random.Random(seed)
    for number in range(steps):
        names = [name for name in dir(direct) if not name.startswith("_") and name not in SKIPPED]
        names += ["missing", "dynamic_one"]
        state = choose.getstate()
        words, step = random_step(choose, names)
        before = text(direct)
        expected = outcome(step, direct)
        choose.setstate(state)
        _, step = random_step(choose, names)
        found = outcome(step, shared)
        assert found == expected, f"{before}: step {number} of seed {seed}: {words}"
        if is_telling(direct) and not isinstance(direct, (set, frozenset)):
            assert text(shared) == text(direct), f"step {number} of seed {seed}: {words}"
    return steps


@pytest.mark.parametrize("name", BUILTIN)
def test_builtin_targets(processes, name):
    for seed in range(2):
        direct, shared = BUILTIN[name](), coheld.share(BUILTIN[name]())
        assert proxy.is_proxy(shared)
        # What a step changes, is changed in both.
        assert processes.run(FORK, compare, direct, shared, seed, 120) == 120


@pytest.mark.parametrize("seed", range(10))
def test_random_classes(processes, seed):
    for number, kind in enumerate(random_classes(seed, 5)):
        direct, shared = kind(), coheld.share(kind())
        steps = processes.run(FORK, compare, direct, shared, 100 * seed + number, 100)
        assert steps == 100
