"""Coheld in the place of ``multiprocessing.managers``.

The parts of the standard library's module use each other by their names in it, for instance when
an object is pickled. So its names stay what they are, and with them all managers that there are
already. What changes is what others see who look at the module from outside: its class gets a data
descriptor for each name, and data descriptors come before the module's own attributes.
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import abc
import sys
from multiprocessing import managers as stock
from multiprocessing import spawn, util

from . import _coheld, _stock
from . import managers as ours

#: Names that stay those of the standard library: what is written for its servers uses them.
_KEPT = frozenset({"Token", "dispatch", "listener_client"})

#: What fork servers import first.
_PRELOADED = "coheld._installed"

#: What a process that is started runs before anything else, with its parent's `path`.
_IN_CHILD = """
import sys
before = sys.path[:]
sys.path[:0] = path
try:
    import coheld
    coheld.install()
finally:
    sys.path[:] = before
"""

#: Guards `_present`.
_lock = util.ForkAwareThreadLock()

#: What there is to be undone, if Coheld is installed.
_present = None


def install():
    """Put Coheld in the place of the standard library's managers. See `coheld.install`."""
    global _present
    with _lock:
        if _present is None:
            _present = _Installation()


def uninstall():
    """Undo `install`. See `coheld.uninstall`."""
    global _present
    with _lock:
        if _present is not None:
            _present.undo()
            _present = None


class _Installation:
    """Everything that `install` changes."""

    def __init__(self):
        pairs = _pairs()
        names = {name: _Name(*pair) for name, pair in pairs.items()}
        rebuild = _rebuilder(stock.RebuildProxy, list(pairs.values()))
        names["RebuildProxy"] = _Name(stock.RebuildProxy, rebuild)
        self.modules = []
        self.metaclasses = []
        self.module_class = type(stock)
        self.own_class = type(self.module_class.__name__, (self.module_class,), names)
        self.get_preparation_data = spawn.get_preparation_data
        self.own_function = _preparer(self.get_preparation_data)
        try:
            self._change(pairs)
        except BaseException:
            self.undo()
            raise

    def _change(self, pairs):
        """Change everything, and note what there is to be undone as soon as it is."""
        for thing in [*(old for old, _ in pairs.values()), stock.RebuildProxy]:
            self.modules.append((thing, thing.__module__))
            thing.__module__ = _stock.__name__
        for old, new in [*pairs.values(), (stock.Token, ours.Token)]:
            if isinstance(old, type) and isinstance(new, type) and type(old) is type:
                former = _coheld.set_metaclass(old, _Recognising)
                self.metaclasses.append((old, former))
                _Recognising.twins[old] = new
        stock.__class__ = self.own_class
        spawn.get_preparation_data = self.own_function

    def undo(self):
        # What somebody else has put over ours stays, and ours below it does nothing any more.
        if spawn.get_preparation_data is self.own_function:
            spawn.get_preparation_data = self.get_preparation_data
        self.own_function.is_present = False
        _change_preloaded(is_present=False)
        for class_, metaclass in self.metaclasses:
            _coheld.set_metaclass(class_, metaclass)
            _Recognising.twins.pop(class_, None)
        if type(stock) is self.own_class:
            stock.__class__ = self.module_class
        for thing, module in reversed(self.modules):
            thing.__module__ = module


def _pairs():
    """What is replaced: for each name the standard library's object and ours."""
    pairs = {}
    for name, old in vars(stock).items():
        new = getattr(ours, name, old)
        if (
            new is not old
            and name not in _KEPT
            and not name.startswith("_")
            and getattr(old, "__module__", None) == stock.__name__
        ):
            pairs[name] = (old, new)
    return pairs


class _Name:
    """What others see as one attribute of the standard library's module."""

    def __init__(self, old, new):
        self.old = old
        self.new = self.seen = new

    def __get__(self, module, owner=None):
        return self if module is None else self.seen

    def __set__(self, module, value):
        # Who has found the standard library's object in the module's `__dict__`, as
        # `unittest.mock` does, means to put back what was there.
        self.seen = self.new if value is self.old else value

    def __delete__(self, module):
        self.seen = self.new


def _rebuilder(old_function, pairs):
    """`RebuildProxy` for processes where Coheld is installed.

    A pickle that a process without Coheld has made names the standard library's proxy classes by
    names that are of ours here. That it means those shows in its calling this function, because
    ours are pickled with another one.
    """

    def RebuildProxy(func, token, serializer, kwds):
        """Unpickle a proxy of the standard library."""
        func = next((old for old, new in pairs if new is func), func)
        return old_function(func, token, serializer, kwds)

    RebuildProxy.__module__ = stock.__name__
    RebuildProxy.__qualname__ = RebuildProxy.__name__
    return RebuildProxy


class _Recognising(abc.ABCMeta):
    """The class of the standard library's classes while Coheld is installed.

    A program may have taken them from their module before. Their ``isinstance()`` is true for our
    objects, too. It is derived from `ABCMeta` for the sake of classes with another base class that
    is abstract.
    """

    twins = {}

    def __new__(mcls, name, bases, namespace, /, **kwds):
        if "__module__" not in namespace:
            # As `type` does it: the module of the caller, which below would be that of `ABCMeta`.
            module = sys._getframe(1).f_globals.get("__name__")
            if module is not None:
                namespace = {**namespace, "__module__": module}
        return super().__new__(mcls, name, bases, namespace, **kwds)

    def __instancecheck__(cls, instance):
        twin = _Recognising.twins.get(cls)
        if twin is not None:
            return type.__instancecheck__(cls, instance) or isinstance(instance, twin)
        return _checks(cls).__instancecheck__(cls, instance)

    def __subclasscheck__(cls, subclass):
        twin = _Recognising.twins.get(cls)
        if twin is not None:
            return type.__subclasscheck__(cls, subclass) or issubclass(subclass, twin)
        return _checks(cls).__subclasscheck__(cls, subclass)


def _checks(class_):
    """The metaclass whose checks are right for a class that has no twin."""
    return abc.ABCMeta if "_abc_impl" in vars(class_) else type


def _preparer(get_preparation_data):
    """What tells new processes about this one, with the word that Coheld is installed here."""

    def prepare(name):
        data = get_preparation_data(name)
        if prepare.is_present:
            data["coheld"] = _InChild(data["sys_path"])
            # This is also called right before a fork server is started.
            _change_preloaded(is_present=True)
        return data

    prepare.is_present = True
    return prepare


class _InChild:
    """Installs Coheld where it is unpickled: the first thing that a new process does."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (_IN_CHILD, {"path": self.path})


def _change_preloaded(*, is_present):
    """Have the next fork server import Coheld ahead of all else, or not."""
    forkserver = sys.modules.get("multiprocessing.forkserver")
    if forkserver is None:
        return
    server = forkserver._forkserver
    others = [name for name in server._preload_modules if name != _PRELOADED]
    server._preload_modules = [_PRELOADED, *others] if is_present else others
