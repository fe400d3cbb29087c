"""`FrameClient`: uses an object of a server that speaks in frames only, such as one of Duck's."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from . import _errors
from ._errors import LimitedProxyChaining, ProxyError, closed_here
from ._frame_lines import line_to
from ._frames import CALLABLE_PREFIX, PROXY_PREFIX, REQUESTS, Frame, ProxyOpCode
from ._remote import remote_exception


class FrameClient:
    """An object of a server, by its number and the name of the block that leads there.

    It neither removes the block nor has it removed by the resource tracker. *chain_level* is how
    many objects were reached one through the other before this one, of *max_level* at most.
    """

    __slots__ = ("__weakref__", "_line", "block_name", "chain_level", "idx", "max_level", "text")

    def __init__(self, block_name, idx, chain_level=0, max_level=7, text=""):
        self.block_name = block_name
        self.idx = idx
        self.chain_level = chain_level
        self.max_level = max_level
        #: What the server says of the object, if it has said something.
        self.text = text
        self._line = line_to(block_name)

    def __reduce__(self):
        content = (self.block_name, self.idx, self.chain_level, self.max_level, self.text)
        return type(self), content

    def __repr__(self):
        return f"<{type(self).__name__} of object {self.idx} through {self.block_name!r}>"

    @property
    def block(self):
        """The block of shared memory."""
        return self._open_line().block

    def close(self):
        """Let go of the object in this process."""
        self._line = None

    # ---- What can be done with the object ------------------------------------------------------

    def get(self, name):
        """Return an attribute: a value, something to be called, or another `FrameClient`."""
        return self._ask(ProxyOpCode.GET, name)

    def set(self, name, value):
        """Set an attribute."""
        self._ask(ProxyOpCode.SET, name, value)

    def delete(self, name):
        """Delete an attribute, which has to be called for: frames have no operation for it."""
        self.execute("__delattr__", (name,))

    def execute(self, name, args=(), kwargs=None):
        """Call a method."""
        return self._ask(ProxyOpCode.EXECUTE, name, list(args), kwargs or {})

    def get_item(self, key):
        """Return an item."""
        return self.execute("__getitem__", (key,))

    def set_item(self, key, value):
        """Set an item."""
        self.execute("__setitem__", (key, value))

    def delete_item(self, key):
        """Delete an item."""
        self.execute("__delitem__", (key,))

    def get_response(self, frame, timeout=None):
        """Have a request answered, within *timeout* seconds if there is one."""
        if not isinstance(frame, Frame):
            raise AssertionError(f"Frame must be an instance of Frame not {type(frame)}.")
        if frame.opcode not in REQUESTS:
            raise AssertionError(f"OpCode not recognized, available opcodes: {REQUESTS}.")
        payload = self._open_line().exchange(frame, timeout or None)
        if type(payload) is not list or len(payload) != 3:
            raise ProxyError(f"Unknown response from server: {payload!r}.")
        return self._arrived(*payload)

    def _open_line(self):
        line = self._line
        if line is None:
            raise closed_here()
        return line

    # ---- Replies -------------------------------------------------------------------------------

    def _ask(self, opcode, *what):
        return self.get_response(Frame(opcode, [self.idx, *what]))

    def _arrived(self, target_id, value, error):
        if error:
            raise _raised_by(target_id, str(error))
        if isinstance(value, str):
            if value.startswith(PROXY_PREFIX):
                return self._chained(target_id, value[len(PROXY_PREFIX) :])
            if value.startswith(CALLABLE_PREFIX):
                self.chain_level = 0
                return FrameMethod(self, target_id, value[len(CALLABLE_PREFIX) :])
        self.chain_level = 0
        return value

    def _chained(self, target_id, text):
        level = self.chain_level + 1
        if level > self.max_level:
            raise LimitedProxyChaining(self.max_level, target_obj=text)
        # Not by its name, which may be gone: proxies of Duck remove the block when they end.
        made = object.__new__(type(self))
        made.block_name = self.block_name
        made.idx = target_id
        made.chain_level = level
        made.max_level = self.max_level
        made.text = text
        made._line = self._line
        return made


class FrameMethod:
    """Something of an object that can be called."""

    __slots__ = ("_client", "_idx", "_name")

    def __init__(self, client, idx, name):
        self._client = client
        self._idx = idx
        self._name = name

    def __call__(self, /, *args, **kwargs):
        payload = [self._idx, self._name, list(args), kwargs]
        return self._client.get_response(Frame(ProxyOpCode.EXECUTE, payload))

    def __reduce__(self):
        return type(self), (self._client, self._idx, self._name)

    def __repr__(self):
        return f"<method {self._name} of {self._client!r}>"


def _raised_by(target_id, error):
    """What is raised here for the text of an error there."""
    class_name = error.partition(":")[0]
    text = f"Server-side error when operating on target object id={target_id}: {error}"
    return remote_error(class_name, text)


def remote_error(class_name, message):
    """Return a `ProxyError` that is of the named class, too, if that is one that everybody has."""
    kind = getattr(_errors, class_name, None)
    if isinstance(kind, type) and issubclass(kind, ProxyError):
        return ProxyError(message) if kind is LimitedProxyChaining else kind(message)
    try:
        error = remote_exception(kinds=(("builtins", class_name),), text=message)
    except Exception:
        # Of a class whose exceptions are made of more than a text.
        error = None
    # One of no known class has the name in front of its text, where it stands already.
    return ProxyError(message) if type(error) in (ProxyError, type(None)) else error
