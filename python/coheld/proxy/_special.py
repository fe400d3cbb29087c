"""The special methods: which of them a proxy has, and what its owner does for each."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import copy
import math
import operator


def _swapped(operation):
    def reflected(target, other):
        return operation(other, target)

    return reflected


_BINARY = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "matmul": operator.matmul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "divmod": divmod,
    "pow": pow,
    "lshift": operator.lshift,
    "rshift": operator.rshift,
    "and": operator.and_,
    "xor": operator.xor,
    "or": operator.or_,
}


def _operators():
    """What an operator does is more than one method: the other operand has a say, too."""
    found = {
        "__lt__": operator.lt,
        "__le__": operator.le,
        "__eq__": operator.eq,
        "__ne__": operator.ne,
        "__gt__": operator.gt,
        "__ge__": operator.ge,
        "__neg__": operator.neg,
        "__pos__": operator.pos,
        "__abs__": operator.abs,
        "__invert__": operator.invert,
        "__int__": int,
        "__float__": float,
        "__complex__": complex,
        "__index__": operator.index,
        "__bytes__": bytes,
        "__bool__": bool,
        "__round__": round,
        "__trunc__": math.trunc,
        "__floor__": math.floor,
        "__ceil__": math.ceil,
        "__len__": len,
        "__length_hint__": operator.length_hint,
        "__hash__": hash,
        "__repr__": repr,
        "__str__": str,
        "__format__": format,
        "__dir__": dir,
        "__copy__": copy.copy,
        "__deepcopy__": copy.deepcopy,
        "__iter__": iter,
        "__next__": next,
        "__reversed__": reversed,
        "__contains__": operator.contains,
        "__getitem__": operator.getitem,
        "__setitem__": operator.setitem,
        "__delitem__": operator.delitem,
    }
    for name, operation in _BINARY.items():
        found[f"__{name}__"] = operation
        found[f"__r{name}__"] = _swapped(operation)
        in_place = getattr(operator, f"__i{name}__", None)
        if in_place is not None:
            found[f"__i{name}__"] = in_place
    return found


#: What the owner does for a special method, if that is more than to call the method.
OPERATORS = _operators()

#: For the class that an object is an attribute of: a proxy has none of them.
_DESCRIPTOR = frozenset({"__get__", "__set__", "__delete__"})

#: Those by which an object is changed.
CHANGING = frozenset(
    {"__setitem__", "__delitem__", "__set__", "__delete__"} | {f"__i{name}__" for name in _BINARY}
)

#: Special methods that are called by their names.
_CALLED = frozenset(
    {
        "__call__",
        "__enter__",
        "__exit__",
        "__await__",
        "__aiter__",
        "__anext__",
        "__aenter__",
        "__aexit__",
        "__fspath__",
        "__missing__",
        "__instancecheck__",
        "__subclasscheck__",
    }
)

SPECIAL = frozenset(OPERATORS) | _CALLED | _DESCRIPTOR

#: What every object has.
ALWAYS = frozenset({"__repr__", "__str__", "__format__", "__dir__", "__eq__", "__ne__", "__hash__"})

#: Attributes with special names that tell what an object is. Others (``__dict__``, ``__globals__``,
#: ``__reduce__``, ..) lead to what no proxy should lead to.
INFORMATION = frozenset(
    {
        "__name__",
        "__qualname__",
        "__module__",
        "__doc__",
        "__wrapped__",
        "__annotations__",
        "__defaults__",
        "__version__",
        "__members__",
        "__notes__",
        "__cause__",
        "__context__",
        "__text_signature__",
        "__match_args__",
    }
)


def is_special(name):
    """Whether a proxy forwards a name that begins with an underscore."""
    return name in SPECIAL or name in INFORMATION


def _defines(kind, name):
    """Whether the instances of a class have a special method, and not only what `object` has."""
    for base in kind.__mro__:
        if base is object:
            return False
        if name in vars(base):
            return vars(base)[name] is not None
    return False


def specials_of(kind):
    """Return the special methods that proxies of the instances of a class have."""
    found = {name for name in SPECIAL - _DESCRIPTOR if _defines(kind, name)}
    found |= ALWAYS | {"__copy__", "__deepcopy__"}
    if kind.__hash__ is None:
        found.discard("__hash__")
    if found & {"__iter__", "__getitem__"}:
        found.add("__contains__")
    if issubclass(kind, (str, bytes, bytearray)):
        # They have none of these, but numbers are made of them.
        found |= {"__int__", "__float__", "__complex__"}
    if issubclass(kind, complex):
        # Python before 3.11 knows what to do with them, without a method of theirs.
        found.add("__complex__")
    for name in _BINARY:
        plain, reflected = f"__{name}__", f"__r{name}__"
        if plain in found or reflected in found:
            # The one operand of an operator may be what the other's method is for.
            found |= {plain, reflected}
    return found
