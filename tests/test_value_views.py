"""Views of bytes in shared objects, where they lie, which stay as long as they are seen."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import random
import time

import coheld
import pytest
import subject

pytestmark = pytest.mark.skipif(subject.IS_STOCK, reason="stock has no views")

# From this length on bytes are a referent of their own.
LEAST = 64 << 10
LARGE = os.urandom(3 * LEAST)
LENGTHS = [0, 1, 7, 8, 1000, LEAST - 1, LEAST, LEAST + 1, 3 * LEAST]


def containers(manager, value):
    """Each kind of container with the value, and how to view, read, replace and drop it."""
    return {
        "dict": (manager.dict({"k": value}), "k"),
        "list": (manager.list([0, value]), 1),
        "Namespace": (manager.Namespace(k=value), "k"),
        "Value": (manager.Value("O", value), None),
    }


def view(shared, key):
    return shared.view() if key is None else shared.view(key)


def read(shared, key):
    if key is None:
        return shared.value
    return shared[key] if hasattr(shared, "append") or hasattr(shared, "keys") else shared.k


def replace(shared, key, value):
    if key is None:
        shared.value = value
    elif type(shared).__name__ == "NamespaceProxy":
        setattr(shared, key, value)
    else:
        shared[key] = value


def settled(manager, expected, what="blocks", seconds=10):
    def as_expected():
        gc.collect()
        return manager._statistics()[what] == expected

    subject.wait_until(as_expected, seconds)
    return manager._statistics()[what]


def hold_a_view(shared, connection):
    viewed = shared.view("k")
    connection.send(viewed == LARGE_OF_ONES)
    connection.recv()
    connection.send(viewed == LARGE_OF_ONES)
    connection.recv()


LARGE_OF_ONES = b"1" * LEAST


@pytest.mark.parametrize("kind", ["dict", "list", "Namespace", "Value"])
@pytest.mark.parametrize("length", LENGTHS)
def test_bytes_come_back_and_can_be_viewed(manager, kind, length):
    content = os.urandom(length)
    shared, key = containers(manager, content)[kind]
    value = shared.value if key is None else shared[key] if kind != "Namespace" else shared.k
    assert type(value) is bytes and value == content
    viewed = view(shared, key)
    assert type(viewed) is memoryview and viewed.readonly and viewed.format == "B"
    assert viewed == content and bytes(viewed) == content and len(viewed) == length
    with pytest.raises(TypeError):
        viewed[:] = content


@pytest.mark.parametrize("kind", ["dict", "list", "Namespace", "Value"])
def test_what_is_viewed_stays(manager, kind):
    before = manager._statistics()
    shared, key = containers(manager, LARGE)[kind]
    viewed = view(shared, key)
    replace(shared, key, b"x" * len(LARGE))
    assert viewed == LARGE and view(shared, key) == b"x" * len(LARGE)
    replace(shared, key, None)
    others = manager.list([os.urandom(len(LARGE)) for _ in range(5)])
    assert viewed == LARGE
    del shared, others
    gc.collect()
    assert viewed == LARGE
    del viewed
    for what in ("blocks", "bytes", "referents"):
        assert settled(manager, before[what], what) == before[what]


def test_a_view_outlives_what_is_done_to_the_container(manager):
    start = manager._statistics()["bytes"]
    shared, numbers = manager.dict({"a": LARGE, "b": LARGE[1:]}), manager.list([LARGE, LARGE[1:]])
    views = [shared.view("a"), shared.view("b"), numbers.view(0), numbers.view(-1)]
    del shared["a"]
    shared.clear()
    numbers.pop(0)
    numbers.reverse()
    numbers[:] = []
    for viewed, content in zip(views, [LARGE, LARGE[1:], LARGE, LARGE[1:]]):
        assert viewed == content
        viewed.release()
    # Views of views release what they keep when all of them are gone.
    views.clear()
    del shared, numbers, viewed
    assert settled(manager, start, "bytes") == start


def test_all_ways_to_read_give_plain_bytes(manager):
    content = {"a": LARGE, "b": [LARGE, 1], "c": b"short"}
    shared = manager.dict(content)
    assert shared.copy() == content and dict(shared.items()) == content
    assert list(shared.values()) == list(content.values())
    assert shared._getvalue() == content
    assert shared.get("a") == shared.pop("a") == LARGE
    assert shared.setdefault("a", LARGE[5:]) == LARGE[5:] and shared["a"] == LARGE[5:]
    numbers = manager.list([LARGE, b"x"])
    assert numbers[:] == [LARGE, b"x"] and list(numbers) == [LARGE, b"x"]
    assert LARGE in numbers and numbers.index(LARGE) == 0 and numbers.count(LARGE) == 1
    numbers.extend([LARGE, LARGE])
    numbers.insert(1, LARGE)
    numbers.remove(LARGE)
    assert numbers[:] == [LARGE, b"x", LARGE, LARGE]
    numbers *= 2
    assert len(numbers) == 8 and all(numbers[index] in (LARGE, b"x") for index in range(8))
    numbers.sort()
    assert numbers[:] == sorted([LARGE, b"x", LARGE, LARGE] * 2)
    queue = manager.Queue()
    queue.put(LARGE)
    assert queue.get() == LARGE
    value = manager.Value("O", LARGE)
    assert value.compare_exchange(LARGE, LARGE[1:]) and value.value == LARGE[1:]
    assert not value.compare_exchange(LARGE, b"")
    assert str(shared)[:5] == str(content)[:1] + str(shared)[1:5]
    assert "Value" in repr(value)


def test_large_bytes_as_keys_and_elements(manager):
    shared = manager.dict({LARGE: 1})
    assert LARGE in shared and shared[bytes(LARGE)] == 1 and list(shared) == [LARGE]
    elements = manager.set([LARGE])
    assert LARGE in elements and elements.pop() == LARGE


def test_a_dict_that_moves_to_the_manager_takes_its_bytes_along(manager):
    shared = manager.dict({"k": LARGE})
    viewed = shared.view("k")
    shared[complex(1, 2)] = 1
    assert shared["k"] == LARGE and viewed == LARGE
    assert shared.view("k") == LARGE and type(shared.view("k")) is memoryview


def test_what_has_nothing_to_view(manager):
    for value in [None, 1, 2**70, 0.5, "text", "t" * LEAST, manager.list()]:
        for shared, key in containers(manager, value).values():
            with pytest.raises(TypeError, match=type(value).__name__):
                view(shared, key)
    # Objects of other classes may have buffers, and come as reading brings them if they have none.
    for value in [bytearray(b"x"), [LARGE]]:
        for shared, key in containers(manager, value).values():
            assert view(shared, key) == value


def test_what_is_not_there(manager):
    with pytest.raises(KeyError, match="'k'"):
        manager.dict().view("k")
    with pytest.raises(IndexError, match="list index out of range"):
        manager.list().view(0)
    with pytest.raises(AttributeError):
        manager.Namespace().view("k")
    with pytest.raises(TypeError):
        manager.Value("i", 0).view()


def test_an_attribute_of_a_namespace_comes_before_the_method(manager):
    shared = manager.Namespace(view=5)
    assert shared.view == 5
    del shared.view
    shared.k = LARGE
    assert shared.view("k") == LARGE


def test_a_view_in_another_container_shares_the_bytes(manager):
    shared = manager.dict({"k": LARGE})
    used = manager._statistics()["bytes"]
    others = manager.list()
    for _ in range(10):
        others.append(shared.view("k"))
    assert manager._statistics()["bytes"] < used + len(LARGE)
    shared.clear()
    assert others[:] == [LARGE] * 10 and type(others[0]) is bytes
    with pytest.raises(TypeError):
        others.append(others.view(0)[1:])
    with pytest.raises(TypeError):
        others.append(memoryview(b"x" * len(LARGE)))


def test_a_view_goes_to_no_other_process(manager):
    with pytest.raises(TypeError):
        pickle.dumps(manager.dict({"k": LARGE}).view("k"))


def test_a_killed_viewer(manager_of_context, context, processes):
    manager = manager_of_context
    ours, theirs = context.Pipe()
    shared = manager.dict({"k": LARGE_OF_ONES})
    viewer = processes.start(context, hold_a_view, shared, theirs)
    assert ours.poll(30) and ours.recv()
    full = manager._statistics()["bytes"]
    shared["k"] = None
    ours.send("look again")
    assert ours.poll(30) and ours.recv()
    assert manager._statistics()["bytes"] > full - LEAST
    viewer.kill()

    def has_returned():
        return manager._statistics()["bytes"] <= full - LEAST

    assert subject.wait_until(has_returned, 20)


def churn(shared, numbers, connection):
    """Store, view, replace and drop large bytes until the end."""
    connection.send("at work")
    contents = [bytes([number]) * (LEAST + number) for number in range(4)]
    for turn in range(1 << 30):
        content = contents[turn % 4]
        shared[turn % 5] = content
        viewed = shared.view(turn % 5)
        numbers.append(viewed)
        assert viewed == content and numbers[0][:1] == numbers.view(0)[:1]
        if len(numbers) > 6:
            numbers[:] = numbers[2:]
        shared.pop((turn + 2) % 5, None)


def test_killed_in_the_middle_again_and_again(manager, processes):
    before = manager._statistics()
    shared, numbers = manager.dict(), manager.list([LARGE])
    fork = multiprocessing.get_context("fork")
    for turn in range(20):
        ours, theirs = fork.Pipe()
        worker = processes.start(fork, churn, shared, numbers, theirs)
        assert ours.poll(30) and ours.recv() == "at work"
        time.sleep(random.uniform(0, 0.03))
        worker.kill()
        for content in list(shared.values()) + numbers[:]:
            assert content in (LARGE, bytes(content[:1]) * len(content))
    del shared, numbers
    assert settled(manager, before["bytes"], "bytes", 20) == before["bytes"]
    assert settled(manager, before["referents"], "referents") == before["referents"]


def test_the_manager_is_killed():
    manager = subject.start_manager()
    shared = manager.dict({"k": LARGE})
    viewed = shared.view("k")
    manager._process.kill()
    manager._process.join()
    assert viewed == LARGE and shared.view("k") == LARGE
    del shared["k"]
    assert viewed == LARGE
    manager.shutdown()
    del shared
    assert viewed == LARGE


def test_a_fork_with_a_view(manager, processes):
    shared = manager.dict({"k": LARGE})
    viewed = shared.view("k")
    go, going = os.pipe()
    forked = processes.fork(lambda: os.read(go, 1) and viewed == LARGE)
    del shared["k"]
    viewed.release()
    for number in range(10):
        shared[number] = os.urandom(len(LARGE))
    os.write(going, b"g")
    assert processes.join_fork(forked) == 0
    os.close(go)
    os.close(going)


def test_a_full_segment():
    manager = subject.start_manager(capacity=16 << 20)
    try:
        shared, kept = manager.dict(), manager.list([LARGE])
        with pytest.raises(coheld.OutOfMemory):
            for number in range(1000):
                shared[number] = os.urandom(len(LARGE))
        number = len(shared)
        assert 10 < number < 1000 and number not in shared
        used = manager._statistics()
        with pytest.raises(coheld.OutOfMemory):
            shared["more"] = os.urandom(16 << 20)
        assert manager._statistics() == used and kept[0] == LARGE
        shared.clear()
        shared["k"] = LARGE
        assert shared.view("k") == LARGE
    finally:
        manager.shutdown()


def test_objects_are_counted_without_their_bytes(manager):
    shared = manager.list([LARGE] * 3)
    assert manager._number_of_objects() == 1
    viewed = shared.view(0)
    assert manager._number_of_objects() == 1 and "list" not in manager._debug_info()[:1]
    assert len(manager._debug_info().splitlines()) == 2
    del viewed
