"""Two questions about callables, answered as ``duck.utils.multiprocessing.proxy`` does."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import functools
import inspect


def get_callable_name(fn):
    """Return a name for a function, a method, a partial or an object that can be called."""
    if isinstance(fn, functools.partial):
        return get_callable_name(fn.func)
    if inspect.ismethod(fn):
        return fn.__func__.__name__
    if inspect.isfunction(fn) or inspect.isbuiltin(fn):
        return fn.__name__
    call = getattr(fn, "__call__", None)  # noqa: B004 - its name is wanted, too.
    if call is None:
        return getattr(fn, "__name__", type(fn).__name__)
    name = getattr(call, "__name__", None)
    if name and name != "<lambda>":
        return f"{type(fn).__name__}.__call__"
    return type(fn).__name__


def is_method_of(callable_obj, obj):
    """Whether something is a method of an object, or the function that one consists of."""
    if inspect.ismethod(callable_obj):
        return callable_obj.__self__ is obj
    if isinstance(callable_obj, functools.partial):
        return is_method_of(callable_obj.func, obj)
    name = getattr(callable_obj, "__name__", None)
    if name is None:
        return False
    try:
        attribute = getattr(obj, name)
    except AttributeError:
        return False
    if inspect.ismethod(attribute):
        return attribute.__func__ is getattr(callable_obj, "__func__", callable_obj)
    # A method of a built-in type says in its text of what type its object is.
    return attribute is callable_obj or f"of {type(obj).__name__}" in str(callable_obj)
