"""Random programs over one shared object, as lines of Python that can be pasted into a shell.

A program is a list of steps; each is one line in which `x` is the object. Steps are made of values,
keys and indices that are likely to meet, and now and then of arguments that are wrong.
"""

from __future__ import annotations

import dataclasses
import random

# Values of every form that a referent keeps in its own way, and some that it only keeps as pickles.
VALUES = """0 1 2 3 -1 7 20 2**31 -2**31 2**59 -2**59-1 2**63 -2**70 10**30
    0.0 -0.0 0.5 1.0 -2.25 1e300 5e-324 2.0**70 float('inf') float('-inf') float('nan')
    '' 'a' 'b' 'key' 'eight888' '\\u00e4\\u4e2d' '\\ud800' 'x'*40 b'' b'a' b'bytes' b'y'*40
    None True False (1,'a') () (None,(2.0,)) [1,[2]] [] {'k':1} {1,2} frozenset({3}) 1+2j range(3)
    bytearray(b'z') Ellipsis""".split()
SORTABLE = "0 1 2 3 -1 7 20 2**63 -2**70 0.5 1.0 -2.25 True False".split()
# Keys that meet although they are written differently, and keys that cannot be keys.
KEYS = """0 1 2 True False 1.0 0.0 -0.0 2.5 'a' 'b' 'c' '' b'a' None 2**70 2.0**70 -2**70 10**30
    float('inf') (1,2) (1.0,2) (True,2) ('a',None) ((1,),'b') ()
    '\\u00e4' '\\ud800' 'k'*50""".split()
BAD_KEYS = ["[]", "{}", "(1,[])", "{1}"]
ODD_NAMES = ["'with space'", "'1'", "'\\u00e4'"]
NAMES = ["a", "b", "c", "longer_name"]
INDICES = [*map(str, range(-4, 8)), "-100", "100", "2**63", "-2**70", "True"]
BAD_INDICES = ["'a'", "None", "1.5", "[]"]


@dataclasses.dataclass(frozen=True)
class Step:
    """One line of a program, and where it can be run."""

    text: str
    since: tuple = (3, 9)
    """The first version of Python whose stock manager has it."""
    local: bool = True
    """Whether an ordinary local object does the same as a proxy."""


class Maker:
    """Random pieces of text."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.pick = source.choice

    def chance(self, share: float) -> bool:
        return self.source.random() < share

    def value(self) -> str:
        return self.pick(VALUES)

    def values(self, longest: int = 5) -> str:
        number = self.source.randrange(longest)
        items = [self.value() for _ in range(number)]
        form = self.pick(["[{}]", "[{}]", "({})"])
        return form.format("".join(item + ", " for item in items).rstrip(" "))

    def sortable(self) -> str:
        return "[" + ", ".join(self.pick(SORTABLE) for _ in range(self.source.randrange(12))) + "]"

    def key(self) -> str:
        return self.pick(BAD_KEYS if self.chance(0.04) else KEYS)

    def mapping(self) -> str:
        return "{" + ", ".join(f"{self.pick(KEYS)}: {self.value()}" for _ in range(3)) + "}"

    def pairs(self) -> str:
        return "[" + ", ".join(f"({self.key()}, {self.value()})" for _ in range(3)) + "]"

    def members(self) -> str:
        items = ", ".join(self.pick(KEYS) for _ in range(self.source.randrange(1, 4)))
        return self.pick([f"{{{items}}}", f"[{items}]", f"({items},)"])

    def members_as_set(self) -> str:
        return "{" + ", ".join(self.pick(KEYS) for _ in range(self.source.randrange(1, 4))) + "}"

    def index(self) -> str:
        return self.pick(BAD_INDICES if self.chance(0.06) else INDICES)

    def slice(self) -> str:
        def bound() -> str:
            return self.pick(["", "", *INDICES])

        if self.chance(0.5):
            return f"{bound()}:{bound()}"
        return f"{bound()}:{bound()}:{self.pick(['', '1', '2', '-1', '-3', '0', '2**70'])}"

    def arguments(self) -> str:
        """Arguments that hardly any method takes."""
        return self.pick(["", "1, 2, 3, 4", "nonsense=1", "None, key=5", "'a', 'b'"])


def list_step(make: Maker) -> Step:
    number = make.source.randrange(100)
    if number < 12:
        return Step(f"x.append({make.value()})")
    if number < 20:
        return Step(f"x[{make.index()}]")
    if number < 27:
        return Step(f"x[{make.index()}] = {make.value()}")
    if number < 32:
        return Step(f"x[{make.slice()}]")
    if number < 40:
        return Step(f"x[{make.slice()}] = {make.values()}")
    if number < 44:
        return Step(f"del x[{make.slice()}]")
    if number < 47:
        return Step(f"del x[{make.index()}]")
    if number < 52:
        return Step(f"x.insert({make.index()}, {make.value()})")
    if number < 57:
        return Step(make.pick(["x.pop()", f"x.pop({make.index()})", "x.pop(0)"]))
    if number < 62:
        return Step(f"x.{make.pick(['extend(%s)', 'extend(iter(%s))'])}" % make.values())
    if number < 65:
        return Step(f"x += {make.values()}")
    if number < 68:
        return Step(f"x.remove({make.value()})")
    if number < 72:
        return Step(f"x.{make.pick(['count', 'index'])}({make.value()})")
    if number < 74:
        return Step(f"x.index({make.value()}, {make.index()}, {make.index()})")
    if number < 77:
        return Step(f"{make.value()} in x")
    if number < 83:
        # What was put in before can seldom be sorted; this can.
        return Step(
            make.pick(
                [
                    f"x[:] = {make.sortable()}",
                    "x.sort()",
                    "x.sort(reverse=True)",
                    "x.sort(key=str)",
                    "x.sort(key=repr, reverse=True)",
                    "x.sort(key=len)",
                ]
            )
        )
    if number < 86:
        return Step(make.pick(["x.reverse()", "list(reversed(x))", "list(x)", "len(x)", "bool(x)"]))
    if number < 88:
        return Step("str(x)")
    if number < 90:
        return Step(make.pick([f"x + {make.values()}", "x * 2", "2 * x", "x * -1", "x * True"]))
    if number < 91:
        # Doubling now and then is enough: it must not grow for ever.
        return Step("x *= 2 if len(x) < 40 else 0")
    if number < 93:
        return Step(make.pick(["x.clear()", "x.copy()"]), since=(3, 14))
    if number < 95:
        # A proxy calls the method by its name; the operator of a local list says it differently.
        wrong = ["x + 5", "x * 'a'", "x * 1.5", "'a' * x", "x + (1,)", "x < [1]", "x *= None"]
        return Step(make.pick(wrong), local=False)
    if number < 96:
        return Step(make.pick(["x += 5", "x.extend(None)", "x[0:1] = 5", "x[::2] = 5", "x()"]))
    method = make.pick("append extend insert pop remove reverse sort count index".split())
    return Step(f"x.{method}({make.arguments()})")


def dict_step(make: Maker) -> Step:
    number = make.source.randrange(100)
    if number < 22:
        return Step(f"x[{make.key()}] = {make.value()}")
    if number < 32:
        return Step(f"x[{make.key()}]")
    if number < 38:
        return Step(f"del x[{make.key()}]")
    if number < 44:
        return Step(make.pick([f"x.get({make.key()})", f"x.get({make.key()}, {make.value()})"]))
    if number < 50:
        return Step(make.pick([f"x.pop({make.key()})", f"x.pop({make.key()}, {make.value()})"]))
    if number < 53:
        return Step("x.popitem()")
    if number < 60:
        key = make.key()
        return Step(make.pick([f"x.setdefault({key})", f"x.setdefault({key}, {make.value()})"]))
    if number < 68:
        return Step(
            make.pick(
                [
                    f"x.update({make.mapping()})",
                    f"x.update({make.pairs()})",
                    f"x.update(a={make.value()}, b={make.value()})",
                    f"x.update({make.mapping()}, c={make.value()})",
                ]
            )
        )
    if number < 73:
        return Step(f"{make.key()} in x")
    if number < 80:
        return Step(make.pick(["x.keys()", "x.values()", "x.items()", "x.copy()", "len(x)"]))
    if number < 84:
        return Step(
            make.pick(["list(x)", "dict(x)", "{**x}", "str(x)", "bool(x)", "list(iter(x))"])
        )
    if number < 85:
        return Step("x.clear()")
    if number < 92:
        return Step(
            make.pick(
                [
                    f"x | {make.mapping()}",
                    f"{make.mapping()} | x",
                    f"x |= {make.mapping()}",
                    f"x |= {make.pairs()}",
                    "list(reversed(x))",
                    f"x.fromkeys({make.members_as_set()}, 1)",
                    "x | 5",
                    "5 | x",
                    "x |= 5",
                ]
            ),
            since=(3, 14),
        )
    if number < 96:
        wrong = ["5", "[1]", "[(1, 2, 3)]", "['ab', 'c']", "[([], 1)]", "1, 2", "None", "'ab'"]
        return Step(f"x.update({make.pick(wrong)})")
    method = make.pick("get pop popitem setdefault update keys copy clear".split())
    return Step(f"x.{method}({make.arguments()})")


SET_METHODS = "union intersection difference symmetric_difference".split()
SET_UPDATES = [
    "update",
    "intersection_update",
    "difference_update",
    "symmetric_difference_update",
]


def set_step(make: Maker) -> Step:
    return dataclasses.replace(set_step_of_any_version(make), since=(3, 14))


def set_step_of_any_version(make: Maker) -> Step:
    number = make.source.randrange(100)
    if number < 30:
        return Step(f"x.add({make.key()})")
    if number < 36:
        return Step(f"x.discard({make.key()})")
    if number < 42:
        return Step(f"x.remove({make.key()})")
    if number < 48:
        return Step(f"{make.key()} in x")
    if number < 56:
        return Step(f"x.{make.pick(SET_METHODS)}({make.members()})")
    if number < 64:
        return Step(f"x.{make.pick(SET_UPDATES)}({make.members()})")
    if number < 70:
        return Step(f"x {make.pick('| & - ^'.split())} {make.members_as_set()}")
    if number < 75:
        return Step(f"{make.members_as_set()} {make.pick('| & - ^'.split())} x")
    if number < 80:
        return Step(f"x {make.pick('|= &= -= ^='.split())} {make.members_as_set()}")
    if number < 85:
        return Step(f"x {make.pick('< <= > >='.split())} {make.members_as_set()}")
    if number < 89:
        method = make.pick("isdisjoint issubset issuperset".split())
        return Step(f"x.{method}({make.members()})")
    if number < 92:
        return Step(make.pick(["len(x)", "x.copy()", "set(x)", "bool(x)"]))
    if number < 94:
        # Which one `pop` takes is nobody's business; that it takes them all can be compared.
        return Step(
            make.pick(["{x.pop() for _ in range(len(x))}", "x.clear()", "x.pop() if not x else 0"])
        )
    if number < 97:
        return Step(make.pick(["x | [1]", "[1] - x", "x &= 5", "x < 5", "x ^ 'a'", "x.update(5)"]))
    method = make.pick("add discard remove clear copy isdisjoint issubset".split())
    return Step(f"x.{method}({make.arguments()})")


def namespace_step(make: Maker) -> Step:
    name = make.pick(NAMES)
    number = make.source.randrange(100)
    if number < 40:
        return Step(f"x.{name} = {make.value()}")
    if number < 65:
        return Step(f"x.{name}")
    if number < 75:
        return Step(f"del x.{name}")
    if number < 85:
        return Step(make.pick([f"getattr(x, {name!r}, 5)", f"hasattr(x, {name!r})"]))
    if number < 95:
        return Step("str(x)")
    if number < 97:
        return Step(f"setattr(x, {make.pick(ODD_NAMES)}, 1)", local=False)
    return Step(make.pick(["x._private", "x._private = 1", "del x._private"]), local=False)


def value_step(make: Maker) -> Step:
    number = make.source.randrange(100)
    if number < 30:
        return Step(f"x.value = {make.value()}")
    if number < 55:
        return Step(f"x.set({make.value()})")
    if number < 85:
        return Step(make.pick(["x.value", "x.get()"]))
    if number < 95:
        return Step("str(x)")
    return Step(f"x.{make.pick(['get', 'set'])}({make.pick(['1, 2', 'nonsense=1'])})")


ARRAY_ITEMS = (
    "0 1 -1 100 127 128 -128 -129 255 256 2**15 2**16 -2**31 2**31 2**32 2**63 2**64".split()
)
ARRAY_ITEMS += "0.5 1.0 -2.25 1e300 float('inf') True None 'a' '\\u00e4' 'ab' [] 10**30".split()


def array_step(make: Maker) -> Step:
    number = make.source.randrange(100)
    if number < 25:
        return Step(f"x[{make.index()}]")
    if number < 60:
        return Step(f"x[{make.index()}] = {make.pick(ARRAY_ITEMS)}")
    if number < 70:
        return Step(f"x[{make.slice()}]")
    if number < 85:
        return Step(f"x[{make.slice()}] = x[{make.slice()}]")
    if number < 88:
        return Step(f"x[{make.slice()}] = array('b', [1, 2])")
    if number < 94:
        return Step(make.pick(["len(x)", "list(x)", "str(x)", f"{make.pick(ARRAY_ITEMS)} in x"]))
    if number < 97:
        return Step(f"x[{make.slice()}] = {make.pick(['[1]', '5', 'None', '(1, 2)'])}")
    return Step(make.pick(["del x[0]", "x.append(1)", "x + x", "x * 2"]), local=False)


def nested_step(make: Maker) -> Step:
    """`y` is a shared dict, `x` a shared list that may contain it, more than once and deeper."""
    number = make.source.randrange(100)
    if number < 15:
        return Step(
            f"x.append({make.pick(['y', 'y', 'x', '[y]', '{1: (y, 2)}'])}) if len(x) < 6 else 0"
        )
    if number < 30:
        return Step(f"y[{make.pick(KEYS)}] = {make.value()}")
    if number < 40:
        return Step(f"x[-1][{make.pick(KEYS)}] = {make.value()}")
    if number < 50:
        return Step(f"x[-1].get({make.pick(KEYS)})")
    if number < 58:
        return Step("y['inner'] = x")
    if number < 66:
        return Step("y['inner'][0]['inner'].append(1)")
    if number < 76:
        return Step(make.pick(["str(x)", "str(y)", "[type(item).__name__ for item in x]"]))
    if number < 84:
        return Step(
            make.pick(["x.pop()", "x.pop(0)", "del x[:]", "y.pop('inner', 0)", "y.clear()"])
        )
    if number < 90:
        return Step(make.pick(["x.index(y)", "y in x", "x.count(y)", "x.remove(y)"]))
    if number < 95:
        return Step(make.pick(["x[-1] is y", "x[-1] == y", "x[-1]._id == y._id", "x == x[:]"]))
    return Step(
        make.pick(["x.extend(y)", "x[1:1] = x", "y.update(y)", "x.reverse()", "x[:] = x[::2]"])
    )


STEPS = {
    "list": list_step,
    "dict": dict_step,
    "set": set_step,
    "Namespace": namespace_step,
    "Value": value_step,
    "Array": array_step,
    "nested": nested_step,
}


def program(kind: str, seed: int, length: int) -> list[Step]:
    """The same steps for the same seed, on every machine and version of Python."""
    make = Maker(random.Random(f"{kind} {seed}"))
    return [STEPS[kind](make) for _ in range(length)]
