"""Frames: what proxies of Duck and their servers write into a block of shared memory.

A block holds one frame at a time, of a request or of its reply: the length of what follows in 4
bytes, the highest first, and an operation code and a payload in msgpack. The next frame overwrites
it, and neither side tells the other when it is about to, so whoever reads has to expect half of one
frame and half of another:

* a writer stores the length last, and hides the old frame while it stores a request (a length of
  zero is no request to any server; a client of Duck's would fail at it, so replies cannot do so);
* a reader takes only a frame that is the same when looked at again, and otherwise tries once more.
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import enum
import time

from .._coheld import pack_frame, unpack_frame
from ._errors import DataDecodeError, DataTooBigError, EmptyData

#: Bytes of the length before a frame.
PREFIX_LEN = 4
#: How the text begins that stands for an object that does not travel.
PROXY_PREFIX = "<proxy>-"
#: How the text begins that stands for something to be called.
CALLABLE_PREFIX = "<callable>-"

#: Seconds between two looks at a frame that is not complete.
_PAUSE = 0.0005


class ProxyOpCode(enum.IntEnum):
    """What a frame is for."""

    #: ``[target_id, name]``
    GET = 0
    #: ``[target_id, name, value]``
    SET = 1
    #: ``[target_id, method_name, args, kwargs]``
    EXECUTE = 2
    #: ``[target_id, value, error]``; the error is None or ``"ClassName: text"``
    EXECUTION_RESULT = -1
    #: ``[]``
    RESPONSE_PENDING = -2


#: The operation codes of requests, in the order in which errors list them.
REQUESTS = [ProxyOpCode.GET, ProxyOpCode.SET, ProxyOpCode.EXECUTE]


class Frame:
    """An operation code and a payload."""

    __slots__ = ("opcode", "payload")

    def __init__(self, opcode, payload):
        self.opcode = opcode
        self.payload = payload

    @classmethod
    def parse(cls, data):
        """Return the frame that stands in some bytes, which are without the length."""
        try:
            opcode, payload = unpack_frame(bytes(data))
        except Exception as error:
            raise DataDecodeError(f"Error decoding data: {error}.") from error
        return cls(opcode, payload)

    def __repr__(self):
        return f"<[{type(self).__name__} opcode={self.opcode}]>"


def read_frame(block, timeout=0.5, bufsize=None):
    """Return the frame that stands in a block of shared memory.

    If it is not a whole one it is waited for, *timeout* seconds long. *bufsize* is how many bytes
    of the block are used, if not all.
    """
    buffer = block.buf
    limit = len(buffer) if bufsize is None else bufsize
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            return Frame.parse(snapshot(buffer, limit)[PREFIX_LEN:])
        except DataDecodeError:
            if len(buffer) < PREFIX_LEN or (end is not None and time.monotonic() >= end):
                raise
        time.sleep(_PAUSE)


def snapshot(buffer, limit):
    """A copy of a frame with its length, as it has stood there at two moments."""
    if len(buffer) < PREFIX_LEN:
        raise DataDecodeError("Shared memory buffer is smaller than the length-prefix size.")
    size = int.from_bytes(buffer[:PREFIX_LEN], "big")
    total = size + PREFIX_LEN
    if total > min(limit, len(buffer)):
        raise DataTooBigError(
            f"The data to be read is too big. Max is {limit} byte(s) but data to be read is "
            f"{total} bytes."
        )
    if size == 0:
        raise EmptyData("Data to be read is empty or zero.")
    copy = bytes(buffer[:total])
    if bytes(buffer[:total]) != copy or int.from_bytes(copy[:PREFIX_LEN], "big") != size:
        raise DataDecodeError("Error decoding data: it was changed while it was read.")
    return copy


def pack(frame, limit, plain=False):
    """Return the bytes of a frame with its length, of which there may be *limit*.

    A *plain* frame has no dicts with keys that are no text, which Duck writes and cannot read.
    """
    if not isinstance(frame, Frame):
        raise AssertionError(f"Frame must be an instance of Frame not {type(frame)}.")
    data = pack_frame(frame.opcode, frame.payload, plain)
    total = len(data) + PREFIX_LEN
    if total > limit:
        raise DataTooBigError(
            f"Data too large to fit into shared memory buffer: {total} byte(s) is greater than "
            f"{limit} byte(s)."
        )
    return len(data).to_bytes(PREFIX_LEN, "big") + data


def store(block, packed, is_request=False):
    """Have a packed frame stand in a block."""
    buffer = block.buf
    if is_request:
        buffer[:PREFIX_LEN] = b"\0\0\0\0"
    buffer[PREFIX_LEN : len(packed)] = packed[PREFIX_LEN:]
    # Four bytes at a place that is a multiple of four: seen by others as a whole.
    buffer[:PREFIX_LEN] = packed[:PREFIX_LEN]


def write_frame(block, frame, bufsize=None):
    """Have a frame stand in a block of shared memory; return its size without the length."""
    limit = len(block.buf)
    packed = pack(frame, limit if bufsize is None else min(bufsize, limit))
    store(block, packed, is_request=frame.opcode in REQUESTS)
    return len(packed) - PREFIX_LEN
