"""Proxies of objects of any class, which are called in the process that has them."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from multiprocessing import util
from multiprocessing.managers import ProcessLocalSet

from . import _coheld
from ._coheld import BaseProxy, ListProxy

# What programs of the standard library's proxies look at.
BaseProxy._address_to_local = {}
BaseProxy._mutex = util.ForkAwareThreadLock()
BaseProxy._tls = util.ForkAwareLocal()
BaseProxy._idset = ProcessLocalSet()


def MakeProxyType(name, exposed, _cache={}):  # noqa: B006
    """Return a proxy type whose methods are given by *exposed*."""
    exposed = tuple(exposed)
    try:
        return _cache[(name, exposed)]
    except KeyError:
        pass
    methods = {}
    for method in exposed:
        exec(
            f"def {method}(self, /, *args, **kwds):\n"
            f"    return self._callmethod({method!r}, args, kwds)",
            methods,
        )
    content = {method: methods[method] for method in exposed}
    ProxyType = type(name, (BaseProxy,), {**content, "__module__": "coheld.managers"})
    ProxyType._exposed_ = exposed
    _cache[(name, exposed)] = ProxyType
    return ProxyType


def AutoProxy(
    token,
    serializer,
    manager=None,
    authkey=None,
    exposed=None,
    incref=True,
    manager_owned=False,
):
    """Return a proxy whose methods are those that the shared object exposes."""
    if authkey is None and manager is not None:
        authkey = manager._authkey
    if exposed is None:
        # A proxy without methods of its own asks the process that has the object.
        any_proxy = BaseProxy(token, serializer, manager=manager, authkey=authkey)
        exposed = _coheld.exposed_methods(any_proxy)
    ProxyType = MakeProxyType(f"AutoProxy[{token.typeid}]", exposed)
    proxy = ProxyType(
        token,
        serializer,
        manager=manager,
        authkey=authkey,
        incref=incref,
        manager_owned=manager_owned,
    )
    proxy._isauto = True
    return proxy


#: The lists of the segment have all that the generated base of the standard library's has.
BaseListProxy = ListProxy


class IteratorProxy(BaseProxy):
    """A proxy of an iterator or a generator."""

    _exposed_ = ("__next__", "send", "throw", "close")

    def __iter__(self):
        return self

    def __next__(self, *args):
        return self._callmethod("__next__", args)

    def send(self, *args):
        """Resume the generator and have its ``yield`` give the argument."""
        return self._callmethod("send", args)

    def throw(self, *args):
        """Resume the generator and have its ``yield`` raise the argument."""
        return self._callmethod("throw", args)

    def close(self, *args):
        """End the generator where it stands."""
        return self._callmethod("close", args)


BasePoolProxy = MakeProxyType(
    "PoolProxy",
    (
        "apply",
        "apply_async",
        "close",
        "imap",
        "imap_unordered",
        "join",
        "map",
        "map_async",
        "starmap",
        "starmap_async",
        "terminate",
    ),
)
BasePoolProxy._method_to_typeid_ = {
    "apply_async": "AsyncResult",
    "map_async": "AsyncResult",
    "starmap_async": "AsyncResult",
    "imap": "Iterator",
    "imap_unordered": "Iterator",
}


class PoolProxy(BasePoolProxy):
    """A proxy of a pool of processes, which are children of the manager process."""

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        self.terminate()
