"""What travels between a proxy and its object, besides plain values."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import pickle
import threading
import traceback
import types
from multiprocessing.reduction import ForkingPickler

from ._remote import remote_exception

#: Values of these types always travel as copies.
PLAIN = frozenset({int, str, float, bool, bytes, complex, type(None), type(NotImplemented)})

METHODS = frozenset({types.MethodType, types.BuiltinMethodType, types.MethodWrapperType})

#: What shows a dict as it is at any time. For managers, these pickle as lists.
_VIEWS = frozenset({type({}.keys()), type({}.values()), type({}.items())})


def stays(value):
    """Whether a value never travels as a copy, although it might: that would go its own way."""
    kind = type(value)
    if kind in METHODS:
        return not isinstance(value.__self__, (type, types.ModuleType, type(None)))
    return kind in _VIEWS or hasattr(kind, "__next__")


_interrupts = []


def take_interrupt(failure):
    """The `KeyboardInterrupt` that came while the main thread ran a callback, if a failure of the
    callback's caller is due to that.

    It was Ctrl-C, and meant for this process; what others make of it is not.
    """
    if not _interrupts or threading.current_thread() is not threading.main_thread():
        return None
    interrupt = _interrupts.pop()
    return interrupt if KeyboardInterrupt.__name__ in failure.text else None


class _Self:
    """Says that a method has returned the object itself."""

    __slots__ = ()

    def __reduce__(self):
        return "SELF"


SELF = _Self()


class MethodOf:
    """Stands for a method of the object itself."""

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return MethodOf, (self.name,)


class Pickled:
    """A value that was pickled to see whether it can be."""

    __slots__ = ("pickle",)

    def __init__(self, pickle):
        self.pickle = pickle

    def __reduce__(self):
        return Pickled, (self.pickle,)

    def value(self):
        return pickle.loads(self.pickle)


class Failure:
    """An exception that was raised in another process."""

    __slots__ = ("kinds", "pickle", "text", "traceback")

    def __init__(self, pickle, kinds, text, traceback):
        #: None: it does not pickle.
        self.pickle = pickle
        #: The names of its class and the bases of that, as pairs of module and name.
        self.kinds = kinds
        self.text = text
        self.traceback = traceback

    def __reduce__(self):
        return Failure, (self.pickle, self.kinds, self.text, self.traceback)

    @classmethod
    def of(cls, error):
        """What is sent for an exception, whatever it is."""
        kind = type(error)
        if kind is KeyboardInterrupt and threading.current_thread() is threading.main_thread():
            _interrupts[:] = [error]
        try:
            text = str(error)
        except Exception:
            text = "<str() of it failed>"
        lines = traceback.format_exception(kind, error, error.__traceback__)
        kinds = tuple((base.__module__, base.__qualname__) for base in kind.__mro__)
        return cls(outgoing_pickle(error), kinds, text, "".join(lines))

    def exception(self):
        """The exception as it is raised here: a `ProxyError` and of its own type."""
        error = None
        if self.pickle is not None:
            try:
                error = pickle.loads(self.pickle)
            except Exception:
                error = None
        if not isinstance(error, BaseException):
            error = None
        return remote_exception(error, self.kinds, self.text, self.traceback)


def outgoing_pickle(value):
    """Return the pickle of a value; None if it has none, whatever the reason."""
    try:
        return bytes(ForkingPickler.dumps(value))
    except Exception:
        return None
