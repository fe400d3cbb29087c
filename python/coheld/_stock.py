"""The standard library's own manager classes, under a name that is theirs also while Coheld stands
in for them: the name by which they are pickled then.
"""

from multiprocessing import managers

if not hasattr(managers, "SetProxy"):

    class SetProxy:
        """Stands for the class of that name, which the standard library has since Python 3.14."""


def __getattr__(name):
    try:
        return vars(managers)[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
