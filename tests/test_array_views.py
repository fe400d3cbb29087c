"""Views of arrays: the items themselves, for whoever has taken one, as long as he has it."""

from __future__ import annotations

import array
import gc
import os
import struct
import sys

import pytest
import subject

pytestmark = pytest.mark.skipif(subject.IS_STOCK, reason="stock has no views")

CODES = "bBhHiIlLqQfd"


def store_at(shared, index, value):
    memoryview(shared)[index] = value
    return memoryview(shared).tolist()


def hold_a_view(shared, connection):
    view = memoryview(shared)
    del shared
    connection.send(view.tolist())
    connection.recv()
    view[0] += 1
    connection.send(view.tolist())
    connection.recv()


def hold_views_of_many(container, connection):
    views = [memoryview(shared) for shared in container]
    connection.send(len(views))
    connection.recv()


@pytest.mark.parametrize("code", CODES)
def test_a_view_has_the_form_of_the_array(manager, code):
    items = array.array(code, [1, 2, 3, 100])
    shared, view = manager.Array(code, items), memoryview(items)
    ours = memoryview(shared)
    assert (ours.format, ours.itemsize, ours.shape, ours.strides, ours.nbytes) == (
        (view.format, view.itemsize, view.shape, view.strides, view.nbytes)
    )
    assert ours.contiguous and not ours.readonly and ours.ndim == 1
    assert ours.tolist() == items.tolist() and ours == view
    assert ours.tobytes() == items.tobytes()
    ours[1] = 50
    shared[2] = 60
    assert shared[:] == array.array(code, [1, 50, 60, 100]) and ours[2] == 60


@pytest.mark.filterwarnings("ignore:The 'u' type code:DeprecationWarning")
def test_characters(manager):
    items = array.array("u", "abc")
    shared = manager.Array("u", items)
    ours, view = memoryview(shared), memoryview(items)
    assert (ours.format, ours.itemsize, ours.tobytes()) == (view.format, 4, items.tobytes())


def test_the_buffer_can_be_asked_for_in_every_way(manager):
    shared = manager.Array("i", [1, 2, 3])
    assert struct.unpack("3i", shared) == (1, 2, 3)
    assert bytes(shared) == struct.pack("3i", 1, 2, 3)
    memoryview(shared).cast("B")[0:4] = struct.pack("i", 7)
    assert shared[0] == 7
    struct.pack_into("i", shared, 4, 8)
    assert shared[:] == array.array("i", [7, 8, 3])


def test_no_items(manager):
    shared = manager.Array("i", [])
    view = memoryview(shared)
    assert (view.tolist(), view.shape, view.nbytes) == ([], (0,), 0)


def test_numpy(manager):
    numpy = pytest.importorskip("numpy")
    for code in CODES:
        shared = manager.Array(code, [1, 2, 3])
        same = numpy.asarray(shared)
        assert same.dtype == numpy.dtype(code) and same.tolist() == [1, 2, 3]
        same += 1
        assert shared[:].tolist() == [2, 3, 4]
        assert numpy.frombuffer(shared, dtype=code).tolist() == [2, 3, 4]


def test_others_see_what_is_stored(manager_of_context, context, processes):
    shared = manager_of_context.Array("d", [1, 2, 3])
    view = memoryview(shared)
    assert processes.run(context, store_at, shared, 1, 9.5) == [1, 9.5, 3]
    assert view.tolist() == [1, 9.5, 3]


def test_a_view_keeps_the_array(manager):
    shared = manager.Array("i", range(100_000))
    view = memoryview(shared)
    del shared
    gc.collect()
    assert subject.objects_left(manager, 1) == 1
    others = [manager.Array("i", [7]) for _ in range(10)]
    assert view[99_999] == 99_999 and sum(view) == sum(range(100_000))
    del others
    view.release()
    assert subject.objects_left(manager) == 0


def test_the_view_of_a_process_outlives_all_proxies(manager_of_context, context, processes):
    ours, theirs = context.Pipe()
    shared = manager_of_context.Array("i", [1, 2, 3])
    viewer = processes.start(context, hold_a_view, shared, theirs)
    assert ours.poll(30) and ours.recv() == [1, 2, 3]
    del shared
    assert subject.objects_left(manager_of_context, 1) == 1
    ours.send("go on")
    assert ours.poll(30) and ours.recv() == [2, 2, 3]
    viewer.kill()
    assert subject.objects_left(manager_of_context) == 0


def test_memory_of_a_killed_viewer_returns(manager_of_context, context, processes):
    ours, theirs = context.Pipe()
    container = manager_of_context.list()
    for _ in range(20):
        container.append(manager_of_context.Array("q", range(1_000)))
    viewer = processes.start(context, hold_views_of_many, container, theirs)
    assert ours.poll(30) and ours.recv() == 20
    container[:] = []
    assert subject.objects_left(manager_of_context, 21) == 21
    viewer.kill()
    assert subject.objects_left(manager_of_context, 1) == 1


def test_a_view_goes_on_when_the_manager_is_killed(processes):
    manager = subject.start_manager()
    shared = manager.Array("i", [1, 2, 3])
    view = memoryview(shared)
    manager._process.kill()
    manager._process.join()
    view[0] = 9
    del shared
    assert view.tolist() == [9, 2, 3]
    manager.shutdown()


def test_a_view_goes_on_after_a_fork(manager, processes):
    shared = manager.Array("i", [1, 2, 3])
    view = memoryview(shared)
    go, going = os.pipe()

    def child():
        os.read(go, 1)
        view[1] = 20
        return view.tolist() == [1, 20, 3]

    forked = processes.fork(child)
    witness = memoryview(manager.Array("i", [0]))
    os.write(going, b"g")
    assert processes.join_fork(forked) == 0
    assert view.tolist() == [1, 20, 3] and witness[0] == 0
    os.close(go)
    os.close(going)
    view.release()
    del shared


def test_a_forked_child_keeps_what_it_views(manager, processes):
    shared = manager.Array("i", [1, 2, 3])
    view = memoryview(shared)
    go, going = os.pipe()
    forked = processes.fork(lambda: os.read(go, 1) and view.tolist() == [1, 2, 3])
    view.release()
    del shared
    assert subject.objects_left(manager, 1) == 1
    os.write(going, b"g")
    assert processes.join_fork(forked) == 0
    os.close(go)
    os.close(going)
    assert subject.objects_left(manager) == 0


def test_slices_are_assigned_in_place_once_there_is_a_view(manager):
    shared = manager.Array("i", range(6))
    shared[:2] = array.array("i", [1, 2, 3])
    assert len(shared) == 7
    view = memoryview(shared)
    shared[:] = array.array("i", range(7))
    shared[1:3] = array.array("i", [10, 20])
    shared[::-3] = array.array("i", [6, 30, 0])
    assert view.tolist() == [0, 10, 20, 30, 4, 5, 6]
    for key, items in [(slice(0, 1), [1, 2]), (slice(0, 2), []), (slice(None), [1])]:
        with pytest.raises(BufferError, match="resize"):
            shared[key] = array.array("i", items)
    with pytest.raises(ValueError, match="extended slice"):
        shared[::3] = array.array("i", [1])
    with pytest.raises(TypeError):
        shared[0:2] = array.array("h", [1, 2])
    with pytest.raises(TypeError):
        shared[0:2] = [1, 2]
    assert view.tolist() == [0, 10, 20, 30, 4, 5, 6]


def test_no_items_for_a_slice_with_a_step(manager):
    """It deletes the slice, as with `array.array`; a native path of its own refused it."""
    shared, plain = manager.Array("i", range(6)), array.array("i", range(6))
    shared[::2] = plain[::2] = array.array("i")
    assert shared[:] == plain == array.array("i", [1, 3, 5])


def test_views_under_subclasses_of_the_proxy(manager):
    class Own(type(manager.Array("i", [1]))):
        pass

    shared = manager.Array("i", [4, 5])
    own = Own(shared._token, "pickle", authkey=manager._authkey)
    assert memoryview(own).tolist() == [4, 5]
    count = sys.getrefcount(own)
    for _ in range(100):
        memoryview(own)
    assert sys.getrefcount(own) == count
