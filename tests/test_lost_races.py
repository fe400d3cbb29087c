"""Operations that work on a copy: beside a busy writer they get their turn, and they always end."""

from __future__ import annotations

import multiprocessing

import marks
import pytest

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")
LENGTH = 20_000


class Thing:
    """Equal by value, so that only Python can compare it."""

    def __init__(self, number):
        self.number = number

    def __eq__(self, other):
        return isinstance(other, Thing) and self.number == other.number

    __hash__ = None


def write_without_rest(shared, stopped):
    while not stopped.is_set():
        shared.append(Thing(-1))
        shared.pop()


@pytest.fixture
def busy(manager, processes):
    """A list of things that another process changes all the time, at its end."""
    shared = manager.list([Thing(number) for number in range(LENGTH)])
    stopped = FORK.Event()
    writer = processes.start(FORK, write_without_rest, shared, stopped)
    yield shared
    stopped.set()
    assert writer.result() is None


def test_remove_beside_a_busy_writer(busy):
    for number in (LENGTH - 1, 5, LENGTH // 2):
        busy.remove(Thing(number))
    assert Thing(5) not in busy[: LENGTH // 4]


def test_sort_beside_a_busy_writer(busy):
    # The writer pops the last item, which has to be the one that it has put there.
    for _ in range(3):
        busy.sort(key=lambda thing: (thing.number < 0, -thing.number))
        assert busy[0].number == LENGTH - 1
        busy.sort(key=lambda thing: (thing.number < 0, thing.number))
        assert busy[0].number == 0
    assert busy[LENGTH - 1].number == LENGTH - 1


class Changing:
    """An index that changes the list when it is asked for."""

    def __init__(self, shared, number):
        self.shared, self.number, self.asked = shared, number, 0

    def __index__(self):
        self.asked += 1
        self.shared.append("changed")
        return self.number


def test_an_index_is_asked_once(manager):
    shared = manager.list(["a", "b", "c"])
    index = Changing(shared, 1)
    assert shared.pop(index) == "b"
    shared[index] = "C"
    shared.insert(index, "inserted")
    del shared[index]
    del shared[Changing(shared, 0) : 1]
    assert index.asked == 4
    assert shared[:] == ["C"] + ["changed"] * 5


def test_a_key_function_that_changes_the_list(manager):
    shared = manager.list([3, 1, 2])

    def key(number):
        shared.append(0)
        return number

    with pytest.raises(ValueError, match="list modified during sort"):
        shared.sort(key=key)


def test_a_comparison_that_changes_the_list(manager):
    class Meddler:
        def __eq__(self, other):
            shared.append(other)
            return False

        __hash__ = None

    shared = manager.list([1, 2])
    with pytest.raises(ValueError, match="not in list"):
        shared.remove(Meddler())
