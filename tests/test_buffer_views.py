"""Objects that pickle their buffers apart (protocol 5): in with one copy, out with none."""

from __future__ import annotations

import gc
import os
import pickle

import pytest
import subject

pytestmark = pytest.mark.skipif(subject.IS_STOCK, reason="stock has no views")

LEAST = 64 << 10


class Picture:
    """Holds a buffer as arrays of NumPy do, and is made of whatever its pickle brings."""

    def __init__(self, pixels, name="x"):
        self.pixels, self.name = pixels, name

    def __reduce_ex__(self, protocol):
        assert protocol >= 5
        return Picture, (pickle.PickleBuffer(self.pixels), self.name)

    def __eq__(self, other):
        return bytes(self.pixels) == bytes(other.pixels) and self.name == other.name

    __hash__ = None


def settled(manager, expected):
    def as_expected():
        gc.collect()
        return manager._statistics() == expected

    subject.wait_until(as_expected, 10)
    return manager._statistics()


@pytest.mark.parametrize("length", [0, 1, LEAST - 1, LEAST, LEAST + 1, 5 * LEAST])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_an_object_comes_back_as_from_a_plain_pickle(manager, length, kind):
    content = os.urandom(length)
    shared = manager.dict({"k": Picture(kind(content))})
    plain = pickle.loads(pickle.dumps(Picture(kind(content)), 5))
    found = shared["k"]
    assert type(found.pixels) is type(plain.pixels) is kind and found.pixels == content
    if kind is bytearray and length:
        found.pixels[0] ^= 255
        assert shared["k"].pixels == content
    viewed = shared.view("k")
    assert type(viewed) is Picture and viewed.pixels == content and viewed.name == "x"


def test_a_view_shares_its_buffers_and_keeps_them(manager):
    before = manager._statistics()
    content = os.urandom(3 * LEAST)
    shared = manager.list([Picture(bytearray(content))])
    viewed, value = shared.view(0), manager.Value("O", Picture(content, "y"))
    assert type(viewed.pixels) is memoryview and viewed.pixels.readonly
    with pytest.raises(TypeError):
        viewed.pixels[0] = 1
    other = value.view()
    assert type(other.pixels) is memoryview
    used = manager._statistics()["bytes"]
    shared[0] = None
    value.value = None
    del shared, value
    gc.collect()
    assert manager._statistics()["bytes"] > used - LEAST
    assert viewed.pixels == content and other == Picture(content, "y")
    del viewed, other
    assert settled(manager, before) == before


def test_several_buffers_with_proxies_between_them(manager):
    before = manager._statistics()
    contents = [os.urandom(length) for length in (LEAST, 10, 2 * LEAST, LEAST + 5)]
    inner = manager.list([1])
    parts = [Picture(bytearray(contents[0])), inner, Picture(contents[1])]
    parts += [inner, Picture(contents[2], "z"), {"deep": Picture(bytearray(contents[3]))}]
    shared = manager.dict({"k": parts})
    del parts
    for found in (shared["k"], shared.view("k"), shared.copy()["k"], shared.pop("k")):
        pictures = [found[0], found[2], found[4], found[5]["deep"]]
        assert [bytes(picture.pixels) for picture in pictures] == contents
        assert found[1][0] == 1 and found[3]._token.id == inner._token.id
        found[1][0] = 1
    del found, pictures, shared, inner
    assert settled(manager, before) == before


def test_one_buffer_twice(manager):
    picture = Picture(bytearray(LEAST))
    shared = manager.list([[picture, picture]])
    first, second = shared[0]
    assert first is second and len(first.pixels) == LEAST


def test_a_buffer_in_several_pieces(manager):
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(4 * LEAST, dtype="u1")[::3]
    shared = manager.list([array, numpy.asfortranarray(numpy.ones((300, 400)))])
    assert (shared[0] == array).all()
    assert shared[1].shape == shared.view(1).shape == (300, 400)
    assert shared[1].flags.f_contiguous and shared.view(1).flags.f_contiguous


def test_arrays_of_numpy(manager):
    numpy = pytest.importorskip("numpy")
    for length in (10, 100_000):
        array = numpy.arange(length, dtype="f8").reshape(-1, 5)
        shared = manager.dict({"k": array})
        found = shared["k"]
        assert type(found) is numpy.ndarray and (found == array).all() and found.flags.writeable
        found[0, 0] = 7
        viewed = shared.view("k")
        assert viewed.shape == array.shape and viewed.dtype == array.dtype
        assert (viewed == array).all()
        shared.clear()
        assert (viewed == array).all()
        if length > 10:
            assert not viewed.flags.writeable


@pytest.mark.parametrize("megabytes", [20])
def test_how_often_an_array_is_copied(manager, megabytes):
    """Private memory on the way in and out, as Python's allocator sees it."""
    numpy = pytest.importorskip("numpy")
    import tracemalloc

    array = numpy.ones(megabytes << 20, dtype="u1")
    shared = manager.dict()
    tracemalloc.start()
    try:
        shared["k"] = array
        _, stored = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak() if hasattr(tracemalloc, "reset_peak") else None
        viewed = shared.view("k")
        _, seen = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stored < LEAST and seen < LEAST
    assert viewed.nbytes == megabytes << 20 and viewed[-1] == 1


def test_many_values_at_once(manager):
    pictures = [Picture(bytearray([number]) * LEAST, str(number)) for number in range(8)]
    shared = manager.list(pictures)
    assert shared[:] == pictures and list(shared) == pictures
    shared.extend(pictures[:2])
    shared.insert(0, pictures[7])
    assert shared[-1] == pictures[1] and shared[0] == pictures[7]
    table = manager.dict({picture.name: picture for picture in pictures})
    assert list(table.values()) == pictures and table._getvalue()["3"] == pictures[3]
    queue = manager.Queue()
    queue.put(pictures[5])
    assert queue.get() == pictures[5]
    space = manager.Namespace(k=pictures[4])
    assert space.k == pictures[4] and type(space.view("k").pixels) is memoryview
