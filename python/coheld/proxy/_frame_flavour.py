"""`Proxy` over frames: of an object of one of Duck's own servers."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from ._client import Link
from ._description import Description, describe
from ._duck import Proxy
from ._errors import ProxyError
from ._exposure import OPEN
from ._frame_proxy import FrameClient, FrameMethod
from ._proxy import Method, link_of, put_together

#: What proxies of objects have of which nothing is known: as those of Duck.
_SPECIALS = ("__delitem__", "__getitem__", "__setitem__")
_UNKNOWN = Description("duck.utils.multiprocessing.proxy", "Proxy", _SPECIALS, (), ())
#: Those for which a server that has but methods can do nothing, or which have to be whole.
_NOT_FORWARDED = frozenset(
    {"__copy__", "__deepcopy__", "__await__", "__aiter__", "__anext__", "__aenter__", "__aexit__"}
)


class FrameLink(Link):
    """What a proxy over frames does. The server cannot do more than get, set and call."""

    __slots__ = ()

    @property
    def level(self):
        return self.reference_or_closed().chain_level

    @property
    def limit(self):
        return self.reference_or_closed().max_level

    def __init__(self, client, *_):
        self.reference = client

    def get(self, proxy, name):
        value = self.reference_or_closed().get(name)
        # Not by the name that the server gives: Duck's gives that of a class or of what is inside.
        return Method(proxy, name) if type(value) is FrameMethod else self._wrapped(value)

    def set(self, proxy, name, value):
        self.reference_or_closed().set(name, value)

    def delete(self, proxy, name):
        self.reference_or_closed().delete(name)

    def call(self, proxy, name, args, kwargs):
        return self._wrapped(self.reference_or_closed().execute(name, args, kwargs))

    def special(self, proxy, name, args=(), kwargs=None):
        return self.call(proxy, name, args, kwargs or {})

    def take(self, proxy, count):
        """Return the next item; each is a call of its own."""
        try:
            return [self.call(proxy, "__next__", (), {})], None
        except StopIteration as end:
            return [], end

    def about(self, proxy):
        client = self.reference_or_closed()
        return client.idx, client.text

    def block(self, proxy, is_wanted):
        return self.reference_or_closed().block_name

    def within(self, seconds, operation, *args):
        raise ProxyError("only get_response() of a proxy over frames has a limit of time")

    def _wrapped(self, value):
        return _proxy_over(value, _UNKNOWN) if isinstance(value, FrameClient) else value


class FrameProxy(Proxy):
    """A `Proxy` over frames."""

    __slots__ = ()

    _link_class = FrameLink

    def get_response(self, frame, timeout=None):
        """Have a request answered, within *timeout* seconds if that is given."""
        link = link_of(self)
        return link._wrapped(link.reference_or_closed().get_response(frame, timeout))


def _proxy_over(client, description):
    return put_together(FrameProxy, FrameLink(client), description)


def frame_proxy(server, idx, target, block):
    """A proxy of an object of one of Duck's servers, as Duck's class is told of it."""
    if block is None:
        raise TypeError("a proxy of an object of such a server needs its shared memory")
    limit = getattr(server, "_proxy_chaining_max_level", 7)
    client = FrameClient(block.name, idx, 0, limit, str(target))
    if target is None:
        return _proxy_over(client, _UNKNOWN)
    known = describe(target, OPEN)
    specials = tuple(name for name in known.specials if name not in _NOT_FORWARDED)
    # Its methods are asked for: the server may have anything under their names.
    described = Description(known.module, known.name, specials, (), (), known.kind)
    return _proxy_over(client, described)
