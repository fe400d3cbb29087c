"""Messages in the form of the standard library, for clients and managers that know nothing else.

What goes out names proxies and tokens as ``multiprocessing.managers`` does, whatever stands in its
place here. What comes in by those names becomes proxies of ours.
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import pickle
from multiprocessing import managers as stock

from . import _coheld, _stock
from ._coheld import BaseProxy

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
        rebuilt = getattr(_stock, name)
        if name == "AutoProxy":
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
        if module != _MODULE:
            return super().find_class(module, name)
        if name == "RebuildProxy":
            return self._arrival.rebuild
        return class_of_stock(name)


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
