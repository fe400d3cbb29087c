"""The frames of `coheld.proxy`: bytes as msgpack has them, and whatever else stands in memory."""

from __future__ import annotations

import collections
import enum
import math
import random
import struct
import threading
import time
import tracemalloc
from multiprocessing import shared_memory

import pytest
from coheld._coheld import pack_frame, unpack_frame
from coheld.proxy._errors import DataDecodeError, DataTooBigError, EmptyData, ProxyError
from coheld.proxy._frames import Frame, ProxyOpCode, read_frame, write_frame
from coheld.proxy._helpers import get_callable_name, is_method_of

msgpack = pytest.importorskip("msgpack", reason="the package msgpack is not installed")

EDGES = [
    None,
    True,
    False,
    *(sign * 2**power + step for power in range(63) for step in (-1, 0, 1) for sign in (1, -1)),
    2**63,
    2**64 - 1,
    -(2**63),
    0.0,
    -0.0,
    1.5,
    1e300,
    math.inf,
    -math.inf,
    *("x" * length for length in (0, 1, 31, 32, 255, 256, 65535, 65536)),
    "\u00e4\u20ac\U0001f986\0",
    *(b"x" * length for length in (0, 1, 255, 256, 65535, 65536)),
    *([None] * length for length in (0, 1, 15, 16, 65535, 65536)),
    *({str(key): key for key in range(length)} for length in (0, 1, 15, 16, 65535, 65536)),
    (1, ("two", (3.0,))),
    bytearray(b"abc"),
    memoryview(b"abc"),
]


class Color(enum.IntEnum):
    RED = 3


class Text(str):
    pass


class Backwards(list):
    def __iter__(self):
        return reversed(list(super().__iter__()))


Point = collections.namedtuple("Point", "x y")


def reference_bytes(opcode, payload):
    return msgpack.packb([opcode, payload], use_bin_type=True)


def reference_values(data):
    return msgpack.unpackb(data, raw=False, strict_map_key=False)


def test_the_bytes_are_those_of_msgpack():
    for value in EDGES:
        expected = reference_bytes(0, value)
        assert pack_frame(0, value) == expected
        assert list(unpack_frame(expected)) == reference_values(expected)


def test_subclasses_are_written_as_what_they_are():
    turned = collections.OrderedDict(a=1, b=2)
    turned.move_to_end("a")
    counts = collections.Counter("abca")
    for value in (Color.RED, Text("t"), Backwards([1, 2]), Point(1, 2), turned, counts):
        assert pack_frame(ProxyOpCode.GET, value) == reference_bytes(ProxyOpCode.GET, value)


def random_value(chance, depth=0):
    kinds = "nbiftxs" if depth > 4 else "nbiftxslmd"
    kind = chance.choice(kinds)
    if kind == "n":
        return None
    if kind == "b":
        return chance.random() < 0.5
    if kind == "i":
        return chance.randrange(-(2**63), 2**64) >> chance.randrange(64)
    if kind == "f":
        return struct.unpack(">d", chance.randbytes(8))[0]
    if kind in "ts":
        length = int(chance.expovariate(0.05))
        return "".join(chr(chance.randrange(0xD800)) for _ in range(length))
    if kind == "x":
        return chance.randbytes(int(chance.expovariate(0.01)))
    count = int(chance.expovariate(0.15))
    if kind == "l":
        return [random_value(chance, depth + 1) for _ in range(count)]
    if kind == "m":
        return tuple(random_value(chance, depth + 1) for _ in range(count))
    return {random_key(chance): random_value(chance, depth + 1) for _ in range(count)}


def random_key(chance):
    return chance.choice([str(chance.random()), chance.randbytes(3), chance.randrange(-99, 9999)])


def test_random_values_are_written_and_read_as_by_msgpack():
    chance = random.Random(7)
    for _ in range(2000):
        value = random_value(chance)
        data = pack_frame(2, value)
        assert data == reference_bytes(2, value)
        # The texts tell numbers that are not numbers, negative zeros and types apart.
        assert repr(list(unpack_frame(data))) == repr(reference_values(data))


def test_the_longer_forms_that_other_writers_choose_are_read_too():
    assert unpack_frame(b"\xdc\x00\x02\xcc\x00\xdd\x00\x00\x00\x01\xd2\xff\xff\xff\xff") == (
        0,
        [-1],
    )
    assert unpack_frame(b"\x92\x00\xde\x00\x01\xd9\x01a\xca\x3f\xc0\x00\x00") == (0, {"a": 1.5})
    assert unpack_frame(b"\x92\xd3" + b"\xff" * 8 + b"\xdf\x00\x00\x00\x01\xc4\x01k\xc2") == (
        -1,
        {b"k": False},
    )


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, [{"a": 2**70}]])
def test_numbers_out_of_range(value):
    with pytest.raises(OverflowError, match="Integer value out of range"):
        reference_bytes(0, value)
    with pytest.raises(OverflowError, match="Integer value out of range"):
        pack_frame(0, value)


@pytest.mark.parametrize(
    "value", [set(), [object()], {"a": {1}}, 1j, collections.deque(), type, slice(1)]
)
def test_what_has_no_form_is_named(value):
    with pytest.raises(TypeError) as expected:
        reference_bytes(0, value)
    with pytest.raises(TypeError) as found:
        pack_frame(0, value)
    assert str(found.value) == str(expected.value)


def test_plain_frames_are_those_that_duck_reads():
    for value in ({"a": {b"b": [{Text("c"): None}]}}, {}, 5):
        data = pack_frame(0, value, plain=True)
        assert data == reference_bytes(0, value)
        msgpack.unpackb(data, raw=False)
    for value in ({1: 2}, [{"a": {None: 1}}], {1.5: 2}, {(1,): 2}):
        with pytest.raises(TypeError, match="the keys of dicts are of type 'str' or 'bytes', not"):
            pack_frame(0, value, plain=True)
        assert pack_frame(0, value) == reference_bytes(0, value)
    deepest = 1022
    data = pack_frame(0, nested(deepest), plain=True)
    assert depth_of(msgpack.unpackb(data, raw=False)[1]) == deepest
    with pytest.raises(ValueError, match="recursion limit exceeded"):
        pack_frame(0, nested(deepest + 1), plain=True)


def test_lone_surrogates_have_no_form():
    with pytest.raises(UnicodeEncodeError):
        pack_frame(0, "\ud800")


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def outcome(function, *args):
    try:
        return function(*args)
    except ValueError:
        return "too deep"


def test_nesting_ends_where_that_of_msgpack_does():
    if msgpack.version < (1, 2):
        pytest.skip("earlier versions of msgpack have a lower limit")
    outcomes = set()
    for depth in [*range(1018, 1028), 5000]:
        expected = outcome(reference_bytes, 0, nested(depth))
        assert outcome(pack_frame, 0, nested(depth)) == expected
        outcomes.add(expected == "too deep")
    assert outcomes == {True, False}


def test_a_list_that_contains_itself_ends():
    value = []
    value.append(value)
    with pytest.raises(ValueError, match="recursion limit exceeded"):
        pack_frame(0, value)


def depth_of(value):
    depth = 0
    while value:
        depth, value = depth + 1, value[-1]
    return depth


def test_nesting_that_is_read_ends_where_that_of_msgpack_does():
    outcomes = set()
    for depth in [*range(1018, 1028), 100_000]:
        data = b"\x92\x00" + b"\x91" * depth + b"\x90"
        expected = outcome(lambda data=data: depth_of(reference_values(data)[1]))
        assert outcome(lambda data=data: depth_of(unpack_frame(data)[1])) == expected
        outcomes.add(expected == "too deep")
    assert outcomes == {True, False}


def test_a_dict_that_changes_while_it_is_written_is_written_as_it_was():
    class Changing(list):
        def __iter__(self):
            found.clear()
            return iter(())

    found = {"a": Changing(), "b": 1}
    assert pack_frame(0, found) == reference_bytes(0, {"a": [], "b": 1})
    assert found == {}


def test_a_list_that_shrinks_while_it_is_written_is_an_error():
    class Changing(dict):
        def items(self):
            found.clear()
            return ()

    found = [Changing(), 1, 2]
    with pytest.raises(IndexError):
        pack_frame(0, found)


HOSTILE = [
    b"",
    b"\x92",
    b"\x92\x00",
    b"\x92\x00\xc1",
    b"\x92\x00\x90\x00",
    b"\x92\x00\xdd\xff\xff\xff\xff",
    b"\x92\x00\xdf\xff\xff\xff\xff",
    b"\x92\x00\xdf\x80\x00\x00\x00\x00",
    b"\x92\x00\xdb\xff\xff\xff\xffabc",
    b"\x92\x00\xc6\xff\xff\xff\xffabc",
    b"\x92\x00\xc9\xff\xff\xff\xff\x05abc",
    b"\x92\x00\xd4\x05a",
    b"\x92\x00\xa2\xff\xfe",
    b"\x92\x00\x81\x90\x00",
    b"\x91\x00",
    b"\x93\x00\x00\x00",
    b"\x00",
    b"\xa2ab",
    b"\x82\x00\x00\x01\x01",
    b"\xdd\xff\xff\xff\xff" * 200,
    b"\x9f" * 5000,
    b"\xdc\x0f\xff" * 1500,
]


@pytest.mark.parametrize("data", HOSTILE)
def test_hostile_bytes_are_an_error_and_cost_no_memory(data):
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, TypeError)):
            unpack_frame(data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1_000_000
    with pytest.raises(DataDecodeError, match="Error decoding data"):
        Frame.parse(data)


def test_changed_bytes_are_read_as_by_msgpack_or_are_an_error():
    chance = random.Random(11)
    read = 0
    for _ in range(20_000):
        data = bytearray(pack_frame(2, [1, random_value(chance, depth=3)]))
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(min(len(data), 40))] = chance.randrange(256)
        data = (
            bytes(data[: chance.randrange(len(data)) + 1]) if chance.random() < 0.2 else bytes(data)
        )
        try:
            found = unpack_frame(data)
        except (ValueError, TypeError):
            continue
        read += 1
        expected = reference_values(data)
        assert repr(list(found)) == repr(expected)
    assert read > 100


def test_every_beginning_of_a_frame_is_incomplete():
    data = pack_frame(2, [140_000_000_000, "method", [1, "two", 3.0, b"4"], {"five": [None]}])
    for length in range(len(data)):
        with pytest.raises(ValueError, match="incomplete"):
            unpack_frame(data[:length])


# ---- Frames in blocks ------------------------------------------------------------------------


@pytest.fixture
def block():
    made = shared_memory.SharedMemory(create=True, size=200)
    yield made
    made.close()
    made.unlink()


def test_operation_codes():
    assert [(code.name, code.value) for code in ProxyOpCode] == [
        ("GET", 0),
        ("SET", 1),
        ("EXECUTE", 2),
        ("EXECUTION_RESULT", -1),
        ("RESPONSE_PENDING", -2),
    ]


def test_a_frame_is_what_it_was_made_of():
    frame = Frame(ProxyOpCode.SET, [1, "name", 2])
    assert (frame.opcode, frame.payload) == (1, [1, "name", 2])
    assert repr(frame) == str(frame) == f"<[Frame opcode={ProxyOpCode.SET}]>"
    assert not hasattr(frame, "__dict__")
    parsed = Frame.parse(memoryview(pack_frame(0, [5])))
    assert type(parsed.opcode) is int
    assert repr(parsed) == "<[Frame opcode=0]>"
    for data in (b"", b"\x90", "text", 7, None):
        with pytest.raises(DataDecodeError, match="^Error decoding data: "):
            Frame.parse(data)


def test_a_frame_is_written_and_read(block):
    block.buf[:] = b"\xee" * 200
    frame = Frame(ProxyOpCode.EXECUTION_RESULT, [94_000_000_000_000, "x" * 10, None])
    data = reference_bytes(-1, frame.payload)
    assert write_frame(block, frame) == len(data) == 0x18
    assert bytes(block.buf) == b"\x00\x00\x00\x18" + data + b"\xee" * (196 - len(data))
    found = read_frame(block)
    assert (found.opcode, found.payload) == (-1, frame.payload)


def test_a_block_that_is_too_small(block):
    with pytest.raises(DataTooBigError) as raised:
        write_frame(block, Frame(0, "x" * 250))
    assert str(raised.value) == (
        "Data too large to fit into shared memory buffer: 258 byte(s) is greater than 200 byte(s)."
    )
    assert bytes(block.buf) == bytes(200)
    with pytest.raises(DataTooBigError, match="greater than 50 byte"):
        write_frame(block, Frame(0, "x" * 60), bufsize=50)
    block.buf[:4] = b"\x00\x00\x01\x00"
    with pytest.raises(DataTooBigError) as raised:
        read_frame(block)
    assert str(raised.value) == (
        "The data to be read is too big. Max is 200 byte(s) but data to be read is 260 bytes."
    )


def test_an_empty_block(block):
    with pytest.raises(EmptyData, match="Data to be read is empty or zero."):
        read_frame(block)


def test_a_block_smaller_than_a_length():
    tiny = shared_memory.SharedMemory(create=True, size=3)
    try:
        with pytest.raises(DataDecodeError, match="smaller than the length-prefix size"):
            read_frame(tiny, timeout=None)
        with pytest.raises(DataTooBigError):
            write_frame(tiny, Frame(0, []))
    finally:
        tiny.close()
        tiny.unlink()


def test_what_is_no_frame_is_not_written(block):
    with pytest.raises(
        AssertionError, match="Frame must be an instance of Frame not <class 'list'>"
    ):
        write_frame(block, [0, []])
    with pytest.raises(TypeError, match="can not serialize 'set' object"):
        write_frame(block, Frame(0, {1}))
    with pytest.raises(OverflowError, match="Integer value out of range"):
        write_frame(block, Frame(0, 2**64))
    assert bytes(block.buf) == bytes(200)


def test_garbage_is_an_error_when_the_time_is_over(block):
    block.buf[:9] = b"\x00\x00\x00\x05\xc1\xc1\xc1\xc1\xc1"
    with pytest.raises(DataDecodeError, match="^Error decoding data: "):
        read_frame(block, timeout=0.05)
    with pytest.raises(DataDecodeError):
        read_frame(block, timeout=0)


def test_half_a_frame_is_waited_for(block):
    data = reference_bytes(2, [1, "method", [], {}])
    packed = struct.pack(">I", len(data)) + data
    write_frame(block, Frame(ProxyOpCode.RESPONSE_PENDING, []))
    # As Duck writes it: the length first.
    block.buf[:4] = packed[:4]

    def complete():
        time.sleep(0.1)
        block.buf[4 : len(packed)] = packed[4:]

    writer = threading.Thread(target=complete)
    writer.start()
    try:
        assert read_frame(block, timeout=30).payload == [1, "method", [], {}]
    finally:
        writer.join()


class Watched:
    """Memory that remembers what stood in it after each store."""

    def __init__(self, memory):
        self._memory = memory
        self.seen = []

    def __len__(self):
        return len(self._memory)

    def __getitem__(self, key):
        return self._memory[key]

    def __setitem__(self, key, value):
        self._memory[key] = value
        self.seen.append(bytes(self._memory))


class WatchedBlock:
    def __init__(self, size):
        self.memory = bytearray(size)
        self.buf = Watched(self.memory)


@pytest.mark.parametrize("opcode", list(ProxyOpCode))
def test_no_store_shows_a_frame_that_nobody_wrote(opcode):
    old, new = [1, "a"], [1, "bcdef", "more"]
    for before, after in [(old, new), (new, old), (old, [1, "z"])]:
        block = WatchedBlock(64)
        write_frame(block, Frame(5, before))
        block.buf.seen.clear()
        write_frame(block, Frame(opcode, after))
        *between, last = block.buf.seen
        assert between
        assert last == bytes(block.memory)
        for seen in between:
            size = int.from_bytes(seen[:4], "big")
            if size == 0:
                # A client of Duck's fails at an empty reply; its server passes over a request.
                assert opcode in (0, 1, 2)
                continue
            try:
                found = Frame.parse(seen[4 : 4 + size])
            except DataDecodeError:
                continue
            assert (found.opcode, found.payload) in [(5, before), (opcode, after)]


# ---- Helpers ---------------------------------------------------------------------------------


class Sample:
    def method(self):
        return 1

    @staticmethod
    def static():
        return 2

    @classmethod
    def of_class(cls):
        return 3

    def __call__(self):
        return 4


def test_names_of_callables():
    import functools

    assert get_callable_name(Sample().method) == "method"
    assert get_callable_name(Sample.method) == "method"
    assert get_callable_name(functools.partial(functools.partial(Sample.static), 1)) == "static"
    assert get_callable_name([].append) == "append"
    assert get_callable_name(Sample()) == "Sample.__call__"
    assert get_callable_name(Sample) == "type.__call__"
    assert get_callable_name([].__len__) == "method-wrapper.__call__"


def test_methods_of_an_object():
    import functools

    sample, items = Sample(), []
    assert is_method_of(sample.method, sample)
    assert is_method_of(Sample.method, sample)
    assert is_method_of(sample.static, sample)
    assert is_method_of(functools.partial(sample.method), sample)
    assert is_method_of(items.append, items)
    assert not is_method_of(sample.method, Sample())
    assert not is_method_of(len, sample)
    assert not is_method_of(functools.partial(len), sample)
    assert not is_method_of(Sample(), sample)


def test_exceptions():
    import pickle

    from coheld.proxy._errors import (
        DataEncodeError,
        LimitedProxyChaining,
        ProxyObjectNotFound,
    )

    kinds = (ProxyObjectNotFound, DataDecodeError, DataEncodeError, DataTooBigError, EmptyData)
    assert all(kind.__bases__ == (ProxyError,) for kind in kinds)
    assert ProxyError.__bases__ == (Exception,)
    error = LimitedProxyChaining(7, target_obj="<thing>")
    assert (error.max_level, LimitedProxyChaining(3).max_level) == (7, 3)
    assert str(error).startswith("Proxy chaining reached the maximum allowed level (7). ")
    assert str(error).endswith("avoid deep chaining. Offending object description: '<thing>'.")
    assert str(LimitedProxyChaining(7)).endswith("to avoid deep chaining.")
    again = pickle.loads(pickle.dumps(error))
    assert (again.max_level, str(again)) == (7, str(error))
