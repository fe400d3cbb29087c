"""`Proxy`, with the names that a proxy of Duck has beside those of its object."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from ._proxy import _OWN, BaseTransparent, link_of
from ._share import share_as

#: Names that a `Proxy` has itself; all others are those of its object.
_LOCAL = frozenset(
    {
        "get_shared_memory",
        "get_response",
        "read_frame",
        "write_frame",
        "idx",
        "close",
        "target_obj_str",
        "shared_memory_name",
        "_chain_level",
        "_proxy_chaining_max_level",
    }
)


class Proxy(BaseTransparent):
    """An object of another process, used as if it were one of this process.

    ``Proxy(target)`` shares an object of this process; `ProxyServer.create_proxy` does so, too.
    """

    __slots__ = ()

    _local = _OWN | _LOCAL

    def __new__(cls, target):
        return share_as(Proxy, target)

    def close(self):
        """Let go of the object in this process. Other processes go on using it."""
        link_of(self).reference = None

    @staticmethod
    def complete(content):
        """Add what all proxies of this flavour have: a ``with`` ends with closing the proxy."""
        enter, leave = content.get("__enter__"), content.get("__exit__")
        content["__enter__"] = enter or (lambda self: self)
        content["__exit__"] = _closing(leave)


def _closing(leave):
    def __exit__(self, exc_type, exc_value, traceback):
        try:
            if leave is not None:
                return leave(self, exc_type, exc_value, None)
            return False
        finally:
            link_of(self).reference = None

    return __exit__
