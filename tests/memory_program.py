"""A short run of everything, for valgrind: a few operations of each type, a fork, an end.

    python tests/memory_program.py valgrind --quiet ...

Whatever is named there runs the program (`make sanitize`). Valgrind has room for a small segment
only.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading

import coheld
from coheld.managers import SyncManager


class Point:
    """A value that only Python can make."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and self.x == other.x

    __hash__ = None


def use_data(manager) -> None:
    numbers = manager.list(range(300))
    numbers.append("a text that needs a block")
    numbers.insert(3, 2.5)
    numbers[5:9] = [1, (2, "three"), None, 1 << 80]
    del numbers[10:20]
    numbers.pop(0)
    assert len(numbers) == 291 and numbers[2] == 2.5 and numbers.count(None) == 1
    sorted_numbers = manager.list([3, 1, 2])
    sorted_numbers.sort()
    assert sorted_numbers[:] == [1, 2, 3]
    entries = manager.dict({f"key {number}": number for number in range(300)})
    entries.update({(1, 2): Point(3), "nested": numbers})
    entries.increment("key 7", 5)
    assert entries["key 7"] == 12 and entries[(1, 2)] == Point(3)
    assert entries["nested"][2] == 2.5 and entries.pop("key 9") == 9
    if hasattr(manager, "set"):
        assert len(manager.set("abcabc")) == 3
    value = manager.Value("i", 1)
    value.increment()
    value.value = b"bytes" * 1000
    assert value.value == b"bytes" * 1000
    array = manager.Array("d", [0.5] * 20)
    array[3] = 2.0
    assert array[2:5].tolist() == [0.5, 2.0, 0.5]
    space = manager.Namespace(x=1)
    space.y = [1, 2]
    assert (space.x, space.y) == (1, [1, 2])


def use_what_waits(manager) -> None:
    queue = manager.Queue(5)
    thread = threading.Thread(target=lambda: [queue.put(number) for number in range(50)])
    thread.start()
    assert [queue.get() for _ in range(50)] == list(range(50))
    thread.join()
    with manager.Lock(), manager.RLock(), manager.Semaphore(2), manager.Condition() as held:
        assert held
    event = manager.Event()
    assert not event.wait(0.01)
    event.set()
    assert event.wait()


def use_a_fork(manager) -> None:
    numbers = manager.list()
    pid = os.fork()
    if pid == 0:
        numbers.append(os.getpid())
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert numbers[:] == [pid]


def attach(address: str, key: str):
    manager = SyncManager(address, authkey=bytes.fromhex(key))
    manager.connect()
    multiprocessing.current_process().authkey = bytes.fromhex(key)
    return manager


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--attach"]:
        manager = attach(*arguments[1:])
        for use in (use_data, use_what_waits, use_a_fork):
            use(manager)
        print("done")
        return 0
    # The manager needs system calls that not every valgrind knows; it stays outside.
    with coheld.Manager(capacity=64 << 20) as manager:
        key = bytes(multiprocessing.current_process().authkey).hex()
        program = [sys.executable, __file__, "--attach", manager.address, key]
        return subprocess.run(arguments + program, timeout=600).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
