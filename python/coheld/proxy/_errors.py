"""The exceptions of proxies, named as those of ``duck.utils.multiprocessing.proxy``."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors


class ProxyError(Exception):
    """Base of what goes wrong with proxies; what an object raises in its process is one, too."""


def closed_here():
    """Return what is raised by a proxy that was closed."""
    return ProxyError("this proxy was closed in this process; its object lives on with its owner")


class ProxyObjectNotFound(ProxyError):
    """The object is not shared any more, or never was."""


class LimitedProxyChaining(ProxyError):
    """Too many objects were reached one through the other."""

    def __init__(self, max_level, target_obj=None):
        #: How many levels are allowed.
        self.max_level = max_level
        text = (
            f"Proxy chaining reached the maximum allowed level ({max_level}). This usually means "
            "your code repeatedly returns non-serializable objects which get wrapped as proxy "
            "references. Consider increasing the server proxy chaining limit, refactoring to "
            "return serializable data, or exposing a higher-level API on the server side to avoid "
            "deep chaining."
        )
        if target_obj:
            text = f"{text} Offending object description: {target_obj!r}."
        super().__init__(text)

    def __reduce__(self):
        return _limited_proxy_chaining, (type(self), self.args, vars(self).copy())


def _limited_proxy_chaining(kind, args, state):
    """Unpickle one: its text is made already."""
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(state)
    return error


class DataDecodeError(ProxyError):
    """What stands in a block of shared memory is no frame."""


class DataEncodeError(ProxyError):
    """Something has no form in a frame. Kept for programs that name it."""


class DataTooBigError(ProxyError):
    """A frame is longer than the block of shared memory that it belongs in."""


class EmptyData(ProxyError):
    """Nothing stands in a block of shared memory."""
