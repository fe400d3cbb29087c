"""Messages in the form of the standard library, for clients and managers that know nothing else.

What goes out names proxies and tokens as ``multiprocessing.managers`` does, whatever stands in its
place here. What comes in by those names becomes proxies of ours.
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import fnmatch
import pickle
from multiprocessing import managers as stock
from multiprocessing import util
from multiprocessing.context import get_spawning_popen

from . import _coheld, _stock
from ._coheld import BaseProxy
from .errors import CoheldError, ShutDown

#: Items fetched at once by iteration over a list: at first, and at most.
_FIRST_SLICE, _LARGEST_SLICE = 64, 4096

_MODULE = stock.__name__

#: The standard library's own objects, also while Coheld stands in for them.
_STOCK = vars(stock)


def reduce_proxy(proxy, departure):
    """Pickle a proxy as the standard library pickles its own. Called by the proxy."""
    address, ident = departure.name(proxy)
    name = _stock_name(type(proxy))
    exposed = getattr(proxy, "_exposed_", None)
    keywords = {}
    if name is None:
        # A class of the program: the one who gets it has it, too, as with the standard library.
        rebuilt = type(proxy)
    else:
        if name == "SetProxy" and not departure.is_coheld:
            # Younger than most versions of the standard library.
            name = "AutoProxy"
        rebuilt = getattr(_stock, name)
        if rebuilt is _stock.AutoProxy:
            if exposed is None:
                exposed = _coheld.exposed_methods(proxy)
            keywords["exposed"] = tuple(exposed)
    token = _STOCK["Token"](proxy._token.typeid, address, ident)
    return _STOCK["RebuildProxy"], (rebuilt, token, proxy._serializer, keywords)


def _stock_name(proxy_class):
    """The name of the standard library's class or function that makes such proxies, if any."""
    if getattr(proxy_class, "_isauto", False) or proxy_class is BaseProxy:
        return "AutoProxy"
    from . import managers

    name = proxy_class.__name__
    if proxy_class is getattr(managers, name, None):
        return "AutoProxy" if name.startswith("AutoProxy") else name
    return "AutoProxy" if name.startswith("AutoProxy[") else None


class Unpickler(pickle.Unpickler):
    """Reads messages. ``arrival.rebuild`` makes the proxies."""

    def __init__(self, file, arrival):
        super().__init__(file)
        self._arrival = arrival

    def find_class(self, module, name):
        if module == "queue" and name == "ShutDown":
            # Younger than some versions of the standard library.
            return ShutDown
        if module != _MODULE and module != _stock.__name__:
            allowed = self._arrival.allowed_types
            if allowed is not None:
                _check_allowed(module, name, allowed)
            return super().find_class(module, name)
        if name == "RebuildProxy":
            return self._arrival.rebuild
        return class_of_stock(name)


#: What a manager unpickles that unpickles chosen types only: what is plain data all the same.
_HARMLESS = frozenset({"bytearray", "complex", "frozenset", "range", "set", "slice"})


def _check_allowed(module, name, allowed):
    """Make sure that a manager unpickles what a message names."""
    full_name = f"{module}.{name}"
    if module == "builtins" and name in _HARMLESS:
        return
    if not any(fnmatch.fnmatchcase(full_name, pattern) for pattern in allowed):
        raise pickle.UnpicklingError(
            f"{full_name} is not among the allowed_types of this manager: add it there if clients "
            "may send it"
        )


def class_of_stock(name):
    """What a name of the standard library's module stands for in a message."""
    from . import managers

    found = _STOCK.get(name)
    if found is None or found is _STOCK["AutoProxy"] or _is_proxy_class(found):
        found = getattr(managers, name, found)
    if found is None:
        raise AttributeError(f"module {_MODULE!r} has no attribute {name!r}")
    return found


def _is_proxy_class(thing):
    return isinstance(thing, type) and issubclass(thing, _STOCK["BaseProxy"])


def proxy_maker(func):
    """What makes a proxy here where the pickle of another process says `func`."""
    if _is_proxy_class(func):
        # A class of a program, made for the standard library's connections.
        from . import managers

        return managers.AutoProxy
    return func


def stock_token(typeid, address, ident):
    """A token as the standard library's clients know it."""
    return _STOCK["Token"](typeid, address, ident)


def rebuild_foreign(func, token, serializer, kwds):
    """Make the proxy of an object of some other manager that a message names."""
    own = _coheld.Token(token.typeid, token.address, token.id)
    return _coheld.RebuildProxy(proxy_maker(func), own, serializer, kwds)


#: The class of the standard library's tokens.
StockToken = _STOCK["Token"]


# The side of the client.


def reduce_remote(proxy):
    """Pickle a proxy of an object at the other end of a connection, for another process here."""
    proxy_class = type(proxy)
    keywords = {}
    if get_spawning_popen() is not None:
        keywords["authkey"] = proxy._authkey
    if getattr(proxy, "_isauto", False) and not issubclass(proxy_class, _coheld.QueueProxy):
        from . import managers

        keywords["exposed"] = proxy._exposed_
        proxy_class = managers.AutoProxy
    arguments = proxy_class, proxy._token, proxy._serializer, keywords
    return _coheld.RebuildProxy, arguments


def rebuild(link, func, token, serializer, kwds):
    """Make the proxy that a message of the manager of `link` names."""
    if not link.is_ours(token):
        return rebuild_foreign(func, token, serializer, kwds)
    # A manager of Coheld has counted it for this process.
    own = link.token(token.typeid, token.id, not link.is_stock)
    keywords = {"exposed": kwds["exposed"]} if "exposed" in kwds else {}
    return proxy_maker(func)(own, serializer, authkey=link.authkey, **keywords)


def proxy_of_result(link, result, manager, serializer):
    """Make the proxy of a result that stays with its manager."""
    from . import managers

    exposed, token = result
    registry = getattr(manager, "_registry", None) or managers.SyncManager._registry
    entry = registry.get(token.typeid)
    make = managers.AutoProxy if entry is None else entry[-1]
    own = link.token(token.typeid, token.id, True)
    return make(own, serializer, manager=manager, authkey=link.authkey, exposed=tuple(exposed))


def create(link, typeid, args, kwds):
    """Create a shared object by the manager of `link`; return its token and its methods."""
    ident, exposed = result_of(link.ask("create", (typeid, *args), kwds))
    return link.token(typeid, ident, True), tuple(exposed)


def create_nearby(link, attachment, typeid, args, kwds):
    """The same by a manager without Python, whose memory this process has."""
    token, exposed = create(link, typeid, args, kwds)
    # Held by the link's token until there is one of our own.
    return _coheld.References(attachment).token(token.id, typeid), exposed


def methods_of(link, token):
    """The names of the methods that an object of the manager of `link` exposes."""
    named = stock_token(token.typeid, link.address, token.id)
    return result_of(link.ask("get_methods", (named,)))


def result_of(answer):
    """The result in the answer of a function of a server; what it raised is raised here."""
    kind, result = answer
    if kind == "#RETURN":
        return result
    if kind == "#FAILED":
        text, pickled = result
        raise_remote(text, pickled)
    if kind == "#ERROR":
        raise result
    raise _STOCK["convert_to_error"](kind, result)


def raise_remote(text, pickled):
    """Raise what has gone wrong in the manager process, in one class as in the standard library."""
    cause = cause_of(pickled)
    if isinstance(cause, CoheldError):
        raise cause
    raise _STOCK["RemoteError"](text) from cause


def cause_of(pickled):
    """The exception of another process, as far as it can be pickled and unpickled."""
    if pickled is None:
        return None
    try:
        cause = pickle.loads(pickled)
    except Exception as error:
        util.debug("the cause of a remote error cannot be unpickled: %s", error)
        return None
    return cause if isinstance(cause, BaseException) else None


def iterate(proxy):
    """Iterate over a list at the other end of a connection, by slices that grow."""
    if proxy._serializer == "xmlrpclib":
        # In which there are no slices.
        yield from _iterate_singly(proxy)
        return
    start, size = 0, _FIRST_SLICE
    while True:
        items = proxy._callmethod("__getitem__", (slice(start, start + size),))
        yield from items
        if len(items) < size:
            return
        start += size
        size = min(2 * size, _LARGEST_SLICE)


def _iterate_singly(proxy):
    index = 0
    while True:
        try:
            item = proxy._callmethod("__getitem__", (index,))
        except IndexError:
            return
        yield item
        index += 1


def follow_forks(proxy):
    """Have the standard library's manager count a proxy again in each child that is forked."""
    util.register_after_fork(proxy, _count_again)


def _count_again(proxy):
    try:
        proxy._after_fork()
    except Exception as error:
        util.info("the manager has not counted a proxy of this child: %s", error)


def dialer(name, address, authkey):
    """What makes connections to the manager at an address, by an entry of `listener_client`."""
    _Listener, Client = _STOCK["listener_client"][name]

    def dial():
        return Client(address, authkey=authkey)

    return dial
