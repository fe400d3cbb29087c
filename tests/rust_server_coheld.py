"""A client with Coheld of a server without Python: rust_server_coheld.py ADDRESS memory|wire."""

from __future__ import annotations

import json
import multiprocessing
import sys

import coheld.managers as managers

KEY = b"\0 key of a server without Python \xff"


class Manager(managers.SyncManager):
    pass


for name in ("tasks", "results"):
    Manager.register(name)


class Thing:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def main():
    address, route = json.loads(sys.argv[1]), sys.argv[2]
    multiprocessing.current_process().authkey = KEY
    manager = Manager(tuple(address["tcp"]), authkey=KEY)
    manager.connect()
    assert (manager._attachment is not None) == (route == "memory")
    shared = manager.list([1, 2, 3])
    tasks, results = manager.tasks(), manager.results()
    assert "Queue" in str(tasks)
    tasks.put(Thing(shared=shared, text="text"))
    assert tasks.qsize() == 1
    back = manager.tasks().get()
    assert (back.shared[:], back.text) == ([1, 2, 3], "text")
    results.update(key=[shared, 1])
    back.shared.append(4)
    assert results.get("key")[0][:] == [1, 2, 3, 4]
    for call, expected in ((lambda: shared[9], IndexError), (lambda: manager.Pool(1), Exception)):
        try:
            call()
        except expected:
            pass
        else:
            raise AssertionError("nothing was raised")
    results.clear()
    print("done", flush=True)


if __name__ == "__main__":
    main()
