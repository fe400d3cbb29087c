"""`FrameServing`: what a server does with a request that came in a frame."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import inspect

from ._errors import ProxyError, ProxyObjectNotFound
from ._frame_answers import Answer, cut, is_main_thread, room_for_text, target_text
from ._frame_workers import workers
from ._frames import (
    CALLABLE_PREFIX,
    PROXY_PREFIX,
    ProxyOpCode,
    read_frame,
    write_frame,
)

#: Types of which all values, or those without anything odd in them, have a form in a frame.
_VALUES = (str, int, float, bytes, list, tuple, dict, type(None))


class FrameServing:
    """Answers requests in frames, for clients of ``duck.utils.multiprocessing.proxy``.

    Of the server that it is part of it uses the table ``proxy_objects``, whose entries begin with
    their targets, ``_lock``, ``_threaded``, ``_bufsize`` and ``_wrap_unserializable_objects``, and
    the methods

    * ``_check_exposed(entry, name, operation)``, which raises if the name may not be used; the
      operation is ``"get"``, ``"set"`` or ``"call"``;
    * ``_register_target(target, block, giver)``, which returns the id of an object that the one
      with the id ``giver`` has given away and that is to be reached through the block, in the
      table from then on or already;
    * ``_release_target(target_id)``: no client refers any more to an object that was registered.
    """

    #: By the ids of targets that clients got in replies: how often. Made with the first.
    _handed_out = None

    def read_frame(self, shared_memory, timeout=0.5):
        """Return the frame that stands in a block; see `_frames.read_frame`."""
        return read_frame(shared_memory, timeout, self._bufsize)

    def write_frame(self, shared_memory, frame):
        """Have a frame stand in a block; return its size without the length."""
        return write_frame(shared_memory, frame, self._bufsize)

    def handle_request_frame(self, shared_memory, frame):
        """Answer a request: on another thread, unless the server has but the calling one."""
        answer = Answer(shared_memory, self._bufsize)
        if self._threaded:
            try:
                workers.run(self._answer, answer, frame)
            except RuntimeError as error:
                answer.give_error(_target_id(frame.payload), error)
        else:
            self._answer(answer, frame)

    def handle_frame(self, shared_memory, frame):
        """Answer a request on this thread."""
        self._answer(Answer(shared_memory, self._bufsize), frame)

    def _release_target(self, target_id):
        with self._lock:
            self.proxy_objects.pop(target_id, None)

    # ---- One request ---------------------------------------------------------------------------

    def _answer(self, answer, frame):
        try:
            self._give_value(answer, frame)
        except BaseException as error:
            # SystemExit, too: it is not for a client to end this process.
            answer.give_error(_target_id(frame.payload), error)
            if isinstance(error, KeyboardInterrupt) and is_main_thread():
                # It was typed.
                raise

    def _give_value(self, answer, frame):
        payload = frame.payload
        if type(payload) is not list or not payload:
            raise ProxyError("the payload of a request is a list that begins with a target")
        if frame.opcode == ProxyOpCode.EXECUTE and payload[1:] == ["__del__"]:
            # What a proxy of Duck sends last.
            self._let_go(payload[0])
            answer.give([payload[0], None, None])
            return
        value = self._perform(frame.opcode, payload)
        value_is_text = isinstance(value, str)
        method = None if value_is_text else self._name_of_method(frame.opcode, payload, value)
        if method is not None:
            answer.give([payload[0], CALLABLE_PREFIX + method, None])
            return
        if value_is_text and value.startswith((CALLABLE_PREFIX, PROXY_PREFIX)):
            raise ValueError(
                f"in a frame a text cannot begin with {CALLABLE_PREFIX!r} or {PROXY_PREFIX!r}: "
                "its reader would take it for something else"
            )
        chains = self._wrap_unserializable_objects
        if not chains or isinstance(value, _VALUES):
            try:
                answer.give([payload[0], value, None])
                return
            except TypeError:
                if not chains:
                    raise
        self._give_proxy(answer, value, payload[0])

    def _entry(self, target_id):
        with self._lock:
            entry = self.proxy_objects.get(target_id)
        if entry is None:
            raise ProxyObjectNotFound(
                f"Proxy target object with ID `{target_id}` not found. It may have been deleted "
                "or never declared."
            )
        return entry

    def _perform(self, opcode, payload):
        """Do what was asked for."""
        entry = self._entry(payload[0])
        if opcode == ProxyOpCode.GET:
            _, name = payload
            self._check_name(entry, name, "get")
            return getattr(entry[0], name)
        if opcode == ProxyOpCode.SET:
            _, name, value = payload
            self._check_name(entry, name, "set")
            setattr(entry[0], name, value)
            return None
        if opcode == ProxyOpCode.EXECUTE:
            _, name, args, kwargs = payload
            self._check_name(entry, name, "call")
            return getattr(entry[0], name)(*args, **kwargs)
        raise ProxyError(f"operation code {opcode!r} is none of a request")

    def _check_name(self, entry, name, operation):
        if not isinstance(name, str):
            raise TypeError(f"attribute name must be string, not {type(name).__name__!r}")
        self._check_exposed(entry, name, operation)

    def _name_of_method(self, opcode, payload, value):
        """The name by which the target is called for something that is to be called; or None.

        Whatever an attribute gives is called by the name of the attribute, so that it is called
        with what it is bound to. What a method returns is a proxy of its own, unless it is a method
        of the same target.
        """
        if not callable(value):
            return None
        if opcode == ProxyOpCode.GET:
            return payload[1]
        target = self._entry(payload[0])[0]
        is_bound = inspect.ismethod(value) or inspect.isbuiltin(value)
        if not is_bound or value.__self__ is not target:
            return None
        name = value.__name__
        return name if getattr(target, name, None) == value else None

    # ---- Objects that do not travel ------------------------------------------------------------

    def _give_proxy(self, answer, value, giver):
        with self._lock:
            before = len(self.proxy_objects)
            target_id = self._register_target(value, answer.block, giver)
            if self._handed_out is None:
                self._handed_out = {}
            if len(self.proxy_objects) > before or target_id in self._handed_out:
                self._handed_out[target_id] = self._handed_out.get(target_id, 0) + 1
        text = PROXY_PREFIX + target_text(value)
        given = False
        try:
            given = answer.give([target_id, cut(text, room_for_text(answer.limit)), None])
        finally:
            if not given:
                self._let_go(target_id)

    def _let_go(self, target_id):
        """A client has dropped one of the proxies that it got in replies."""
        with self._lock:
            count = (self._handed_out or {}).get(target_id, 0)
            if count > 1:
                self._handed_out[target_id] = count - 1
            elif count == 1:
                del self._handed_out[target_id]
                self._release_target(target_id)


def _target_id(payload):
    """What a reply says that it is about."""
    if type(payload) is list and payload and type(payload[0]) is int:
        return payload[0]
    return None
