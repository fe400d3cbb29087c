"""`Proxy`, with the names that a proxy of Duck has beside those of its object."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from . import _frames, _proxy
from ._blocks import attach
from ._errors import ProxyError
from ._frames import CALLABLE_PREFIX, PREFIX_LEN, PROXY_PREFIX, ProxyOpCode
from ._proxy import OWN, BaseTransparent, link_of
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
        "_callable_prefix",
        "_proxy_prefix",
        "_DATA_SIZE_PREFIX_LEN",
    }
)

_UNSET = object()


class Proxy(BaseTransparent):
    """An object of another process, used as if it were one of this process.

    ``Proxy(target)`` shares an object of this process; `ProxyServer.create_proxy` does so, too.
    With the arguments of Duck's class it is a proxy of an object of *proxy_server*, which may be
    one of Duck's: *idx* is the id of *target_obj*, and *shared_memory* the block to talk through.
    """

    __slots__ = ()

    _local = OWN | _LOCAL
    _callable_prefix = CALLABLE_PREFIX
    _proxy_prefix = PROXY_PREFIX
    _DATA_SIZE_PREFIX_LEN = PREFIX_LEN

    def __new__(cls, proxy_server, idx=_UNSET, target_obj=None, shared_memory=None):
        if idx is _UNSET:
            return share_as(Proxy, proxy_server)
        from ._server import ProxyServer

        if isinstance(proxy_server, ProxyServer):
            return proxy_server._proxy_for(idx, target_obj, shared_memory)
        from ._frame_flavour import frame_proxy

        return frame_proxy(proxy_server, idx, target_obj, shared_memory)

    def close(self):
        """Let go of the object in this process. Other processes go on using it."""
        _proxy.close(self)

    @property
    def idx(self):
        """The id of the object in its process."""
        return link_of(self).about(self)[0]

    @property
    def target_obj_str(self):
        """The text of the object; of one that can be iterated over, that of its class."""
        return link_of(self).about(self)[1]

    @property
    def shared_memory_name(self):
        """The name of the block through which the object can be used in frames; None without."""
        return link_of(self).block(self, False)

    def get_shared_memory(self):
        """Return the block through which the object can be used in frames."""
        return attach(link_of(self).block(self, True))

    def get_response(self, frame, timeout=None):
        """Have a request answered, within *timeout* seconds if that is given."""
        opcode = frame.opcode
        if opcode not in _frames.REQUESTS:
            raise AssertionError(f"OpCode not recognized, available opcodes: {_frames.REQUESTS}.")
        link = link_of(self)
        _, *payload = frame.payload
        if opcode == ProxyOpCode.GET:
            return link.within(timeout or None, link.get, self, *payload)
        if opcode == ProxyOpCode.SET:
            return link.within(timeout or None, link.set, self, *payload)
        if len(payload) != 3:
            raise ProxyError("a request to execute needs a name, arguments and named arguments")
        name, args, kwargs = payload
        return link.within(timeout or None, link.call, self, name, tuple(args), kwargs)

    def read_frame(self, shared_memory, timeout=0.5):
        """Return the frame that stands in a block of shared memory."""
        return _frames.read_frame(shared_memory, timeout)

    def write_frame(self, shared_memory, frame):
        """Have a frame stand in a block of shared memory; return its size without the length."""
        return _frames.write_frame(shared_memory, frame)

    @property
    def _chain_level(self):
        return link_of(self).level

    @property
    def _proxy_chaining_max_level(self):
        return link_of(self).limit

    @staticmethod
    def _complete(content):
        """Add what all proxies of this flavour have: a ``with`` ends with closing the proxy."""
        content.setdefault("__enter__", lambda self: self)
        content["__exit__"] = _closing(content.get("__exit__"))


def _closing(leave):
    def __exit__(self, exc_type, exc_value, traceback):
        try:
            if leave is not None:
                return leave(self, exc_type, exc_value, traceback)
            return False
        finally:
            _proxy.close(self)

    return __exit__
