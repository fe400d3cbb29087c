"""Programs with the package duckframework, unmodified; each runs in a process of its own.

    duck_programs.py client < EXPRESSIONS   Duck's Proxy, in a child, of a server of Coheld
    duck_programs.py clients                several of them at once
    duck_programs.py killed                 one that is killed while the server works for it
    duck_programs.py server                 Duck's server, until the input ends

What comes out is JSON. Importing Duck changes `threading` and more, so the tests do not do it.
"""

from __future__ import annotations

import ctypes
import functools
import json
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing import shared_memory

BUFSIZE = 1000


class Odd:
    """Does not travel."""

    def __init__(self, text) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"odd {self.text}"

    def make(self):
        return Odd(self.text + "+")


class Falsy(Exception):
    def __len__(self) -> int:
        return 0


class Target:
    def __init__(self) -> None:
        self.number = 100
        self.ratio = 1.5
        self.data = b"bytes"
        self.odd = Odd("one")
        self.partial = functools.partial(self.add, 40)
        self.items = {"a": 1}
        self.count = 0
        self.wakes = threading.Event()
        self.entered = threading.Event()

    def __getitem__(self, key):
        return self.items[key]

    def __setitem__(self, key, value) -> None:
        self.items[key] = value

    def __delitem__(self, key) -> None:
        del self.items[key]

    def add(self, x, y=1):
        return x + y

    def give(self, value):
        return value

    def make(self, text):
        return Odd(text)

    def evaluate(self, expression):
        return eval(expression)

    @classmethod
    def of_class(cls, x):
        return x + 1

    def increment(self):
        self.count += 1
        return self.count

    def fail(self, name, *args):
        raise {"Falsy": Falsy, "SystemExit": SystemExit, "KeyError": KeyError}[name](*args)

    def wait(self):
        self.entered.set()
        self.wakes.wait(30)
        return "late"

    def wait_until_entered(self):
        return self.entered.wait(30)

    def wake(self):
        self.wakes.set()


def die_with_parent() -> None:
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def duck_proxy(name, idx):
    """Duck's proxy of an object that the server says is there."""
    from duck.utils.multiprocessing import proxy as duck

    server = duck.ProxyServer(bufsize=BUFSIZE)
    server._running = True
    made = duck.Proxy(server, idx, object(), shared_memory.SharedMemory(name))
    made.target_obj_str = "target"
    return made


def in_child(function, *args):
    """Start a forked child, which sends what the function returns."""
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def run():
        die_with_parent()
        sender.send(function(*args))
        sender.close()

    # If one fails, this process does not wait for the others.
    process = multiprocessing.get_context("fork").Process(target=run, daemon=True)
    process.start()
    sender.close()
    return process, receiver


def answers_of(name, idx, expressions):
    p = duck_proxy(name, idx)
    # Those stay until the end: a proxy of Duck that goes removes the block for all.
    names = {"p": p}
    answers = []
    for expression in expressions:
        try:
            answers.append(["value", repr(eval(expression, names))])
        except Exception as error:
            answers.append([type(error).__name__, str(error)])
    return answers


def shared_target(server):
    target = Target()
    return target, server.create_proxy(target).get_shared_memory().name


def client() -> None:
    from coheld.proxy import ProxyServer

    expressions = json.load(sys.stdin)
    with ProxyServer(BUFSIZE) as server:
        target, name = shared_target(server)
        process, receiver = in_child(answers_of, name, id(target), expressions)
        print(json.dumps(receiver.recv()))
        process.join()


def echoes(name, idx, first):
    p = duck_proxy(name, idx)
    give = p.give
    increment = p.increment
    wrong = 0
    for number in range(first, first + 200):
        wrong += give(number) != number
        increment()
    return wrong


def clients() -> None:
    from coheld.proxy import ProxyServer

    with ProxyServer(BUFSIZE) as server:
        shared = [shared_target(server) for _ in range(3)]
        children = [
            in_child(echoes, name, id(target), 1000 * number)
            for number, (target, name) in enumerate(shared)
        ]
        wrong = [receiver.recv() for _, receiver in children]
        for process, _ in children:
            process.join()
        print(json.dumps({"wrong": wrong, "counts": [target.count for target, _ in shared]}))


def wait_for_ever(name, idx):
    return duck_proxy(name, idx).wait()


def after_the_dead(name, idx):
    p = duck_proxy(name, idx)
    give, wake = p.give, p.wake
    answers = [give(number) for number in range(20)]
    # Now the answer to the dead comes, sooner or later.
    answers.append(wake())
    answers += [give(number) for number in range(100)]
    return answers


def killed() -> None:
    from coheld.proxy import ProxyServer

    with ProxyServer(BUFSIZE) as server:
        target, name = shared_target(server)
        process, _ = in_child(wait_for_ever, name, id(target))
        target.entered.wait(30)
        process.kill()
        process.join()
        process, receiver = in_child(after_the_dead, name, id(target))
        print(json.dumps(receiver.recv()))
        process.join()


def server() -> None:
    from duck.utils.multiprocessing import proxy as duck

    die_with_parent()
    made = duck.ProxyServer(bufsize=BUFSIZE)
    made.run()
    target, listed = Target(), [1, 2, 3]
    shared = [made.create_proxy(target), made.create_proxy(listed)]
    print(json.dumps([[proxy.shared_memory_name, proxy.idx] for proxy in shared]), flush=True)
    # Duck logs to the same output whatever it has read by halves; nobody reads that.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.stdin.read()
    for entry in made.proxy_objects.values():
        try:
            entry[2].unlink()
        except FileNotFoundError:
            pass
    # Its thread would go on for ever.
    os._exit(0)


if __name__ == "__main__":
    {"client": client, "clients": clients, "killed": killed, "server": server}[sys.argv[1]]()
