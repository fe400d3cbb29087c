"""What a proxy knows of its object beforehand: of which class it is, and what that can do."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import builtins
import inspect
import sys
import threading
import types
from collections import OrderedDict

from ._special import specials_of

#: What gives a method when it is read from an instance, whatever else happens.
_FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    staticmethod,
    classmethod,
)


def _views(mapping):
    return mapping.keys, mapping.values, mapping.items


#: Built-in classes that no module has under their names.
_NAMELESS = {
    kind.__name__: kind
    for kind in (
        *(value for value in vars(types).values() if isinstance(value, type)),
        *(type(view()) for kind in (dict, OrderedDict) for view in _views(kind())),
        *(type(iter(thing)) for thing in ([], (), {}, set(), "", b"", range(0))),
    )
    if kind.__module__ == "builtins" and not hasattr(builtins, kind.__name__)
}

_plans = {}
_plans_lock = threading.Lock()


class Description:
    """The class of an object as others see it. Equal ones are the same within a process."""

    __slots__ = ("coroutines", "kind", "methods", "module", "name", "specials")

    def __init__(self, module, name, specials, methods, coroutines, kind=None):
        #: The class itself, where the object is and in what was forked from there.
        self.kind = kind
        self.module = module
        self.name = name
        self.specials = specials
        self.methods = methods
        #: The methods that begin only when they are awaited.
        self.coroutines = coroutines

    def __reduce__(self):
        content = (self.module, self.name, self.specials, self.methods, self.coroutines)
        return _known, content

    def target_class(self):
        """The class of the object, if this process has it."""
        if self.kind is not None:
            return self.kind
        if self.module == "builtins" and self.name in _NAMELESS:
            return _NAMELESS[self.name]
        found = sys.modules.get(self.module)
        for part in self.name.split("."):
            found = getattr(found, part, None)
        return found if isinstance(found, type) else None


#: Classes of which something is kept. A program may make them without end.
_LIMIT = 1000

_known_descriptions = {}


def _known(*key):
    """The description that consists of these; for a class of this process, with that at the end."""
    found = _known_descriptions.get(key)
    if found is None:
        if len(_known_descriptions) > _LIMIT:
            _known_descriptions.clear()
        found = _known_descriptions.setdefault(key, Description(*key))
    return found


def describe(target, exposure):
    """Return the description of an object, as far as it is exposed."""
    kind = type(target)
    specials, methods, coroutines = _plan(kind)
    exposed = tuple(name for name in specials if exposure.allows(name, "call"))
    try:
        own = object.__getattribute__(target, "__dict__")
    except Exception:
        own = ()
    if isinstance(target, type):
        # Its attributes are not those of its instances.
        methods, own = (), ()
    methods = tuple(name for name in methods if name not in own and exposure.allows(name, "call"))
    coroutines = tuple(name for name in methods if name in coroutines)
    return _known(kind.__module__, kind.__qualname__, exposed, methods, coroutines, kind)


def _is_coroutine(kind, name):
    return inspect.iscoroutinefunction(inspect.getattr_static(kind, name, None))


def _plan(kind):
    """The special methods of a class, the names of its functions, and those of them that are
    coroutine functions; looked up once."""
    version = _version(kind)
    found = _plans.get(kind)
    if found is None or found[0] != version:
        methods = tuple(sorted(_functions_of(kind)))
        coroutines = frozenset(name for name in methods if _is_coroutine(kind, name))
        plan = tuple(sorted(specials_of(kind))), methods, coroutines
        with _plans_lock:
            if len(_plans) > _LIMIT:
                _plans.clear()
            _plans[kind] = found = (version, plan)
    return found[1]


def _version(kind):
    return tuple(len(vars(base)) for base in kind.__mro__)


def _functions_of(kind):
    """Names that are functions of the class: what they give when read needs no asking."""
    if kind.__getattribute__ is not object.__getattribute__ and kind.__module__ != "builtins":
        return
    seen = set()
    for base in kind.__mro__:
        for name, value in vars(base).items():
            if name in seen or name.startswith("__"):
                continue
            seen.add(name)
            if isinstance(value, _FUNCTIONS):
                yield name
