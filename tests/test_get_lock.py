"""The lock that belongs to an object: one for everybody, gone with the object."""

from __future__ import annotations

import multiprocessing
import queue
import threading

import pytest
import subject

pytestmark = pytest.mark.skipif(subject.IS_STOCK, reason="stock has no such lock")

MAKERS = {
    "list": lambda manager: manager.list(),
    "dict": lambda manager: manager.dict(),
    "set": lambda manager: manager.set(),
    "Namespace": lambda manager: manager.Namespace(),
    "Value": lambda manager: manager.Value("i", 0),
    "Array": lambda manager: manager.Array("i", [0]),
}
ROUNDS = 200


@pytest.fixture(scope="module")
def manager():
    started = subject.start_manager()
    yield started
    started.shutdown()


@pytest.mark.parametrize("kind", MAKERS)
def test_one_lock_for_everybody(manager, kind):
    shared = MAKERS[kind](manager)
    lock, again = shared.get_lock(), shared.get_lock()
    assert lock._token.id == again._token.id
    assert type(lock).__name__ == "AcquirerProxy" and lock._token.typeid == "RLock"
    with lock, again:
        refused = queue.SimpleQueue()
        other = threading.Thread(target=lambda: refused.put(shared.get_lock().acquire(False)))
        other.start()
        other.join()
        assert refused.get() is False
    assert MAKERS[kind](manager).get_lock()._token.id != lock._token.id


def test_it_goes_with_the_object(manager):
    before = manager._number_of_objects()
    shared = manager.list()
    shared.get_lock()
    assert manager._number_of_objects() == before + 2
    del shared
    assert subject.wait_until(lambda: manager._number_of_objects() == before, 20)


def test_a_proxy_of_it_outlives_the_object(manager):
    lock = manager.list().get_lock()
    assert lock.acquire(False)
    lock.release()


def add(shared, position):
    for _ in range(ROUNDS):
        with shared.get_lock():
            shared[position] = shared[position] + 1


@pytest.mark.parametrize("method", ("fork", "spawn"))
def test_it_makes_several_steps_one(manager, method):
    context = multiprocessing.get_context(method)
    shared = manager.dict(count=0)
    workers = [context.Process(target=add, args=(shared, "count")) for _ in range(3)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
            assert worker.exitcode == 0
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.kill()
            worker.join()
    assert shared["count"] == 3 * ROUNDS


def test_a_namespace_may_have_an_attribute_of_that_name(manager):
    namespace = manager.Namespace(get_lock=5)
    assert namespace.get_lock == 5
    del namespace.get_lock
    with namespace.get_lock():
        pass
