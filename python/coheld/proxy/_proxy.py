"""`Proxy`: an object of another process, used as if it were one of this process."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import threading

from .._coheld import BaseProxy
from ._awaiting import awaiting
from ._client import Link
from ._owner import own_record
from ._special import INFORMATION

#: What pickle, copy and the interpreter itself ask every object for.
OWN = frozenset({"__class__", "__reduce_ex__", "__reduce__", "__init__", "__new__", "__del__"})


class BaseTransparent:
    """Base of all proxies. The special methods of the object's class are in subclasses of it."""

    __slots__ = ("__weakref__", "_description", "_link")

    _local = OWN
    _link_class = Link

    def __getattribute__(self, name):
        kind = type(self)
        if name in kind._local:
            return object.__getattribute__(self, name)
        method = kind._methods.get(name)
        if method is not None:
            return method(self, name)
        return _link_slot(self).get(self, name)

    def __setattr__(self, name, value):
        if name in type(self)._local:
            object.__setattr__(self, name, value)
        else:
            link_of(self).set(self, name, value)

    def __delattr__(self, name):
        link_of(self).delete(self, name)

    @property
    def __class__(self):
        return _description_of(self).target_class() or type(self)

    def __reduce_ex__(self, protocol):
        link = link_of(self)
        return rebuild, (
            type(self)._flavour,
            link.reference,
            _description_of(self),
            link.level,
            link.limit,
        )


_link_slot = BaseTransparent._link.__get__
_description_of = BaseTransparent._description.__get__
_set_link = BaseTransparent._link.__set__
_set_description = BaseTransparent._description.__set__


def is_proxy(thing):
    """Whether something is a proxy, whatever ``isinstance`` says of it."""
    return issubclass(type(thing), BaseTransparent)


def link_of(thing):
    """The link of a proxy; None of anything else."""
    return _link_slot(thing) if issubclass(type(thing), BaseTransparent) else None


def close(proxy):
    """Let go of a proxy's object in this process. All other proxies of it go on."""
    if not is_proxy(proxy):
        raise TypeError(f"close() takes a proxy, not {type(proxy).__name__}")
    link_of(proxy).reference = None


class Method:
    """A method of an object of another process. Read it as what it is there, or call it."""

    __slots__ = ("_name", "_proxy")

    def __init__(self, proxy, name):
        self._proxy = proxy
        self._name = name

    def __call__(self, /, *args, **kwargs):
        proxy = self._proxy
        return _link_slot(proxy).call(proxy, self._name, args, kwargs)

    def __getattr__(self, name):
        if name.startswith("_") and name not in INFORMATION:
            raise AttributeError(f"a method of a proxy has no attribute {name!r}")
        return link_of(self._proxy).of_method(self._proxy, self._name, name)

    @property
    def __doc__(self):
        return link_of(self._proxy).of_method(self._proxy, self._name, "__doc__")

    @property
    def __self__(self):
        return self._proxy

    def __repr__(self):
        return link_of(self._proxy).of_method(self._proxy, self._name, None)

    def __eq__(self, other):
        if not issubclass(type(other), Method):
            return NotImplemented
        return self._name == other._name and _is_same(self._proxy, other._proxy)

    def __hash__(self):
        return hash((self._name, link_of(self._proxy).reference._id))

    def __reduce__(self):
        return _rebuild_method, (self._proxy, self._name)


class Coroutine(Method):
    """A method that begins when what it returns is awaited."""

    __slots__ = ()

    def __call__(self, /, *args, **kwargs):
        return awaiting(self._proxy, self._name, args, kwargs)


def _is_same(one, other):
    one, other = link_of(one).reference, link_of(other).reference
    return one is not None and other is not None and one._token == other._token


def _rebuild_method(target, name):
    """Unpickle a method; where its object is, that is the method itself."""
    return Method(target, name) if is_proxy(target) else getattr(target, name)


# ---- Classes with the special methods of an object's class -----------------------------------


def _forwarder(name):
    def forward(self, /, *args, **kwargs):
        return _link_slot(self).special(self, name, args, kwargs)

    forward.__name__ = forward.__qualname__ = name
    return forward


def _iterate(self):
    proxy = _link_slot(self).special(self, "__iter__")
    return Items(proxy) if is_proxy(proxy) else proxy


def _next(self):
    items, error = _link_slot(self).take(self, 1)
    if error is not None:
        raise error
    return items[0]


class Items:
    """An iterator over an object of another process."""

    __slots__ = ("_ahead", "_count", "_end", "_proxy")

    #: Items that are fetched at once at most, if nobody can tell.
    _MOST = 256

    def __init__(self, proxy):
        self._proxy = proxy
        self._ahead = []
        self._count = 1
        self._end = None

    def __iter__(self):
        return self

    def __next__(self):
        if not self._ahead:
            if self._end is not None:
                raise self._end
            items, self._end = _link_slot(self._proxy).take(self._proxy, self._count)
            self._count = min(4 * self._count, self._MOST)
            if not items:
                raise self._end
            items.reverse()
            self._ahead = items
        return self._ahead.pop()

    def __length_hint__(self):
        return len(self._ahead)


def _awaitable(name):
    def begin(self, /, *args):
        return awaiting(self, name, args)

    begin.__name__ = begin.__qualname__ = name
    return begin


def _await(self):
    return awaiting(self).__await__()


def _exit(self, exc_type, exc_value, traceback):
    # Frames are of use only in their own process.
    return _link_slot(self).special(self, "__exit__", (exc_type, exc_value, None))


def _aexit(self, exc_type, exc_value, traceback):
    return awaiting(self, "__aexit__", (exc_type, exc_value, None))


def _deepcopy(self, memo):
    # What is in there is known to the owner only.
    return _link_slot(self).special(self, "__deepcopy__")


_SPECIFIC = {
    "__deepcopy__": _deepcopy,
    "__exit__": _exit,
    "__iter__": _iterate,
    "__next__": _next,
    "__await__": _await,
    "__anext__": _awaitable("__anext__"),
    "__aenter__": _awaitable("__aenter__"),
    "__aexit__": _aexit,
}
#: Classes that are kept for more proxies like theirs.
_CLASSES_LIMIT = 1000
_classes = {}
_classes_lock = threading.Lock()


def class_of(flavour, description):
    """The class of the proxies of a flavour for objects like those of a description."""
    key = (flavour, description)
    found = _classes.get(key)
    if found is not None:
        return found
    content = {name: _SPECIFIC.get(name) or _forwarder(name) for name in description.specials}
    if "__hash__" not in content:
        content["__hash__"] = None
    if "__iter__" in content and "__next__" in content:
        # An iterator is its own.
        content["__iter__"] = lambda self: self
    flavour._complete(content)
    content.update(
        __slots__=(),
        __module__=flavour.__module__,
        _flavour=flavour,
        _local=flavour._local | frozenset(content),
        _methods={
            name: Coroutine if name in description.coroutines else Method
            for name in description.methods
        },
    )
    made = type(flavour.__name__, (flavour,), content)
    with _classes_lock:
        if len(_classes) > _CLASSES_LIMIT:
            _classes.clear()
        return _classes.setdefault(key, made)


def make_proxy(flavour, reference, description, level=0, limit=None):
    """Return a proxy of a flavour."""
    link = flavour._link_class(reference, level, limit)
    return put_together(flavour, link, description)


def put_together(flavour, link, description):
    """Return a proxy of a flavour that has a link already."""
    proxy = object.__new__(class_of(flavour, description))
    _set_link(proxy, link)
    _set_description(proxy, description)
    return proxy


def rebuild(flavour, reference, description, level, limit):
    """Unpickle a proxy. In the process of its object, that is the object itself."""
    if isinstance(reference, BaseProxy):
        record = own_record(reference)
        if record is not None:
            return record.target
    return make_proxy(flavour, reference, description, level, limit)


class SharedProxy(BaseTransparent):
    """A proxy that has no names but those of its object; see `coheld.share`."""

    __slots__ = ()

    @staticmethod
    def _complete(content):
        """Add what all proxies of this flavour have."""
