"""Exceptions of other processes: each a `ProxyError` and of its own type at once."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import builtins

from ..errors import RemoteTraceback
from ._errors import ProxyError

#: They stand for the end of an iteration and nothing else; no program asks whether they are errors.
_ENDS = (StopIteration, StopAsyncIteration)

_classes = {}


def remote_exception(error=None, kinds=(), text="", traceback=None):
    """Return what is raised here for an exception of another process.

    *error* is the exception itself, as far as it can be had; else its class is known by *kinds*,
    the modules and names of that and of its bases.
    """
    raised = _of_both_types(error, kinds, text)
    if traceback is not None:
        if raised.__cause__ is None:
            raised.__cause__ = RemoteTraceback(traceback)
        raised.remote_traceback = traceback
    return raised


def _of_both_types(error, kinds, text):
    if isinstance(error, (*_ENDS, ProxyError)):
        return error
    if error is not None and not isinstance(error, Exception):
        # Whose end was meant is the process of the object, not this one.
        return ProxyError(f"{type(error).__name__} in the process of the object: {text or error}")
    if error is None:
        kind = _builtin_of(kinds)
        name = kinds[0][1] if kinds else "Exception"
        if kind is None:
            return ProxyError(f"{name}: {text}")
        return _class_for(kind, name)(text)
    kind = type(error)
    made = _class_for(kind, kind.__name__)
    try:
        _, arguments, *_ = error.__reduce__()
        twin = made.__new__(made, *arguments)
        if kind.__module__ == "builtins":
            # What these keep besides their arguments is set here.
            kind.__init__(twin, *arguments)
        twin.args = error.args
    except Exception:
        twin = made.__new__(made)
        twin.args = error.args
    vars(twin).update(vars(error))
    twin.__cause__ = error.__cause__
    twin.__suppress_context__ = True
    return twin


def _class_for(kind, name):
    """The class of the exceptions that are a `ProxyError` and a *kind*."""
    found = _classes.get((kind, name))
    if found is None:
        content = {"__module__": kind.__module__, "__reduce__": _reduce, "_kind": kind}
        try:
            found = type(name, (kind, ProxyError), content)
        except TypeError:
            found = ProxyError
        found = _classes.setdefault((kind, name), found)
    return found


def _reduce(self):
    """Pickle the exception as what it was, so that it is what it is here wherever it arrives."""
    kinds = tuple((base.__module__, base.__qualname__) for base in self._kind.__mro__)
    return _again, (self._kind, self.args, kinds, vars(self).copy())


def _again(kind, arguments, kinds, state):
    made = _class_for(kind, kinds[0][1])
    error = made.__new__(made, *arguments)
    error.args = arguments
    vars(error).update(state)
    return error


def _builtin_of(kinds):
    """The nearest base that every Python has."""
    for module, name in kinds:
        if module == "builtins":
            kind = getattr(builtins, name, None)
            if isinstance(kind, type) and issubclass(kind, Exception):
                return None if kind is Exception else kind
    return None
