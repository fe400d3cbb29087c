"""The standard library's own manager classes, under a name that is theirs also while Coheld stands
in for them: the name by which they are pickled then.
"""

from multiprocessing import managers


def __getattr__(name):
    try:
        return vars(managers)[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
