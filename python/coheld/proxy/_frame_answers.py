"""Replies in blocks of shared memory: each to the request that it answers, and never too long."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import os
import threading
import weakref
from collections.abc import Iterable

from ._errors import DataTooBigError
from ._frames import PREFIX_LEN, Frame, ProxyOpCode, pack, store

_PENDING = pack(Frame(ProxyOpCode.RESPONSE_PENDING, []), 1 << 10)

#: Bytes that a reply consists of besides its text, at most: the length, the code, the target.
_AROUND_TEXT = PREFIX_LEN + 1 + 1 + 1 + 9 + 5 + 1

#: By their blocks: what may answer there.
_turns = weakref.WeakKeyDictionary()
_turns_lock = threading.Lock()


class Answer:
    """The right to answer the request that stands in a block, until a later one comes.

    To have it is to have said that the request is being worked on, so nobody reads it twice.
    """

    def __init__(self, block, bufsize):
        self.block = block
        self.limit = min(bufsize, len(block.buf))
        self._turn = object()
        if self.limit < len(_PENDING):
            raise DataTooBigError(f"{self.limit} byte(s) of shared memory are too few for a reply")
        with _turns_lock:
            _turns[block] = self._turn
            store(block, _PENDING)

    def give(self, payload):
        """Store a reply. False: its client has gone, and the block belongs to another request."""
        packed = pack(Frame(ProxyOpCode.EXECUTION_RESULT, payload), self.limit, plain=True)
        with _turns_lock:
            if _turns.get(self.block) is not self._turn:
                return False
            del _turns[self.block]
            if self.block.buf[: len(_PENDING)] != _PENDING:
                # Somebody did not wait and has written the next request.
                return False
            store(self.block, packed)
            return True

    def give_error(self, target_id, error):
        """Store what was raised, as far as there is room for its text."""
        text = error_text(error)
        for shown_id in (target_id, None):
            for room in (self.limit - _AROUND_TEXT, 8):
                try:
                    return self.give([shown_id, None, cut(text, room)])
                except Exception:
                    continue
        return False


def refuse(block, bufsize, error):
    """Answer what cannot even be read with an error."""
    Answer(block, bufsize).give_error(None, error)


def error_text(error):
    """What stands for an exception in a reply."""
    try:
        text = str(error)
    except Exception:
        text = "<str() of it failed>"
    return f"{type(error).__name__}: {text}"


def target_text(target):
    """What stands for an object that does not travel: for people to read."""
    try:
        # The text of a container may be long, and be another one soon.
        return str(type(target)) if isinstance(target, Iterable) else str(target)
    except Exception:
        return str(type(target))


def cut(text, room):
    """As much of a text as there is room for, in bytes of UTF-8."""
    data = text.encode("utf-8", "backslashreplace")
    return data[: max(room, 1)].decode("utf-8", "ignore")


def room_for_text(limit):
    """How long the text of a reply may be."""
    return limit - _AROUND_TEXT


def is_main_thread():
    """Whether an interrupt may have been typed for this thread."""
    return threading.current_thread() is threading.main_thread()


def _forget():
    """In a forked child: requests are answered by the process that they were made to."""
    global _turns_lock
    _turns_lock = threading.Lock()
    _turns.clear()


os.register_at_fork(after_in_child=_forget)
