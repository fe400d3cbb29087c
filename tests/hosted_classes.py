"""Classes that tests register, and what their clients run in other processes."""

from __future__ import annotations

import os
import threading
import time

import subject

# Long enough for any machine; reached only when something hangs.
LONG = 40


class Work:
    """Methods that take their time, and tell what they have done."""

    def __init__(self) -> None:
        self.count = 0
        self.lock = threading.Lock()
        self.gate = threading.Event()
        self.entered = 0

    def add(self, number):
        with self.lock:
            self.count += number
            return self.count

    def echo(self, value):
        return value

    def wait(self, seconds=LONG):
        """Wait for `open`; whether it came."""
        with self.lock:
            self.entered += 1
        return self.gate.wait(seconds)

    def open(self):
        self.gate.set()

    def waiting(self):
        return self.entered

    def sleep(self, seconds):
        time.sleep(seconds)
        return seconds

    def threads(self):
        return threading.active_count()

    def thread_of_caller(self):
        return threading.get_ident()

    def descriptors(self):
        return len(os.listdir("/proc/self/fd"))

    def process(self):
        return os.getpid()


class Slow:
    """An argument that takes the host long to unpickle."""

    def __init__(self, seconds: float = LONG) -> None:
        self.seconds = seconds

    def __setstate__(self, state):
        self.__dict__.update(state)
        time.sleep(self.seconds)


class Laborious:
    """What takes long to be made, or to be got hold of."""

    def __init__(self, seconds: float = 0.0) -> None:
        time.sleep(seconds)

    def another(self, seconds):
        time.sleep(seconds)
        return Laborious()


class WorkManager(subject.managers.SyncManager):
    """A manager of `Work`."""


WorkManager.register("Work", Work)
WorkManager.register("Laborious", Laborious, method_to_typeid={"another": "Another"})
WorkManager.register("Another", create_method=False)


def echo_many(work, number: int, label: int) -> int:
    """Calls with answers that nobody else gets; how many were wrong."""
    wrong = 0
    for call in range(number):
        value = (label, call)
        wrong += work.echo(value) != value
    return wrong


def echo_of_threads(work, threads: int, number: int, label: int) -> int:
    """The same from several threads at once."""
    wrong = []

    def run(name):
        wrong.append(echo_many(work, number, label * 1000 + name))

    running = [threading.Thread(target=run, args=(name,)) for name in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(wrong) + threads - len(wrong)


def echo_and_stay(work, label: int, connection) -> None:
    """A client that calls once, stays connected, and calls again when it is told to."""
    connection.send(work.echo(label))
    connection.recv()
    connection.send(work.echo(label + 1))
    connection.close()


def settles(question, most: int, seconds: float = 30.0) -> bool:
    """Whether what a method counts comes down to a number in time."""
    return subject.wait_until(lambda: question() <= most, seconds)
