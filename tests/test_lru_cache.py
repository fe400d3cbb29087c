"""A cache such as web servers keep for their workers, over shared dicts, a list and a lock."""

from __future__ import annotations

import multiprocessing
import time
import warnings

import coheld
import marks
import pytest
import subject

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")


class LRUCache:
    """As Duck's ``ProcessSafeLRUCache``, with a manager that is given."""

    def __init__(self, manager, maxkeys=None):
        self.expiry_map = manager.dict()
        self.cache = manager.dict()
        self.lru_order = manager.list()
        self.lock = manager.Lock()
        self.maxkeys = maxkeys

    def set(self, key, value, expiry=None):
        with self.lock:
            if key in self.cache:
                self.lru_order.remove(key)
            self.cache[key] = value
            self.lru_order.append(key)
            if expiry:
                self.expiry_map[key] = time.monotonic() + expiry
            while self.maxkeys and len(self.cache) > self.maxkeys:
                oldest = self.lru_order.pop(0)
                self.cache.pop(oldest, None)
                self.expiry_map.pop(oldest, None)

    def get(self, key, default=None):
        with self.lock:
            if key in self.expiry_map and time.monotonic() >= self.expiry_map[key]:
                self._forget(key)
            if key not in self.cache:
                return default
            self.lru_order.remove(key)
            self.lru_order.append(key)
            return self.cache[key]

    def _forget(self, key):
        self.cache.pop(key, None)
        self.expiry_map.pop(key, None)
        self.lru_order.remove(key)

    def clear(self):
        with self.lock:
            self.cache.clear()
            self.expiry_map.clear()
            self.lru_order[:] = []

    def keys(self):
        with self.lock:
            return list(self.lru_order), sorted(self.cache.keys())


def fill(cache, name, count):
    for number in range(count):
        cache.set(f"{name}-{number}", (name, number))
        assert cache.get(f"{name}-{number}", (name, number)) == (name, number)
    return True


def test_workers_share_a_cache(processes, context):
    with subject.start_manager(context) as manager:
        cache = LRUCache(manager, maxkeys=50)
        children = [processes.start(context, fill, cache, name, 200) for name in "abcd"]
        assert all(child.result() for child in children)
        order, keys = cache.keys()
        assert sorted(order) == keys and len(keys) == 50


def test_the_least_recently_used_goes_first(manager):
    cache = LRUCache(manager, maxkeys=3)
    for key in "abc":
        cache.set(key, key.upper())
    assert cache.get("a") == "A"
    cache.set("d", "D")
    assert cache.get("b", "gone") == "gone"
    assert [cache.get(key) for key in "acd"] == ["A", "C", "D"]
    cache.set("a", "again", expiry=0.01)
    time.sleep(0.02)
    assert cache.get("a", "default") == "default"
    cache.clear()
    assert cache.keys() == ([], [])


def test_a_worker_that_dies_with_the_lock(manager, processes):
    """With the stock manager all others wait for ever."""
    cache = LRUCache(manager, maxkeys=10)
    mine, theirs = FORK.Pipe()

    def hold():
        with cache.lock:
            theirs.send("held")
            time.sleep(1000)

    child = processes.start(FORK, hold)
    assert mine.recv() == "held"
    child.kill()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", coheld.OwnerDiedWarning)
        cache.set("key", "value")
    assert cache.get("key") == "value"


@pytest.mark.parametrize("count", [500])
def test_expiry_does_not_depend_on_the_clock_of_one_process(manager, processes, count):
    cache = LRUCache(manager)
    for number in range(count):
        cache.set(number, number, expiry=1000)
    assert processes.run(FORK, lambda: [cache.get(n) for n in range(count)]) == [*range(count)]
