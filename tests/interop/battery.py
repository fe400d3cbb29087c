"""Steps, and what comes of them as text that can be compared between any two pairs of ends."""

from __future__ import annotations

import re
import sys
import threading
import traceback

#: All steps, in the order in which they run.
STEPS = []


class Step:
    def __init__(self, function, short, since, serializer, last):
        self.function = function
        self.last = last
        self.name = function.__name__
        self.short = short
        self.since = since
        self.serializer = serializer


def step(short=False, since=(3, 8), serializer="pickle", last=False):
    """Make a generator function a step; what it yields is compared.

    Those that are `short` make up the battery for pairs that are not looked at closely. `since`
    is the version of Python whose manager and proxies have what the step uses. The `last` step
    ends the server.
    """

    def decorate(function):
        STEPS.append(Step(function, short, since, serializer, last))
        return function

    return decorate


class World:
    """What a step works with."""

    def __init__(self, managers, manager, address, key, serializer):
        self.managers = managers
        self.manager = manager
        self.address = address
        self.key = key
        self.serializer = serializer

    def connect(self, **other):
        """A manager of its own, connected."""
        options = {"address": self.address, "authkey": self.key, "serializer": self.serializer}
        options.update(other)
        manager = type(self.manager)(**options)
        manager.connect()
        return manager


def without_addresses(text):
    """Without what differs from process to process."""
    return re.sub(r"0x[0-9a-f]+", "0x...", text)


def show(value):
    """A value as text, the same in every process."""
    if isinstance(value, BaseException):
        return raised(value)
    if type(value) in (set, frozenset):
        return "{}({})".format(type(value).__name__, ", ".join(sorted(map(show, value))))
    if type(value) is list and not is_circle(value):
        return "[{}]".format(", ".join(map(show, value)))
    if type(value) is tuple:
        return "({})".format(", ".join(map(show, value)))
    if type(value) is dict:
        return "{{{}}}".format(", ".join(show(key) + ": " + show(value[key]) for key in value))
    return without_addresses(ascii(value))


def is_circle(value):
    """Whether a list is its own item."""
    return any(item is value for item in value)


def raised(error):
    """An exception as text: of a remote error the exception that is told of, by its class."""
    name = type(error).__name__
    if name == "RemoteError":
        return "RemoteError of " + remote_class(error)
    return name + show(error.args)


def remote_class(error):
    """The class of the exception whose traceback a remote error consists of."""
    for line in reversed(str(error).splitlines()):
        found = re.match(r"(?:[\w.]+\.)?(\w+)(:|$)", line)
        if found:
            return found.group(1)
    return "nothing"


def outcome(function, *args, **kwds):
    """What a call returns or raises."""
    try:
        return function(*args, **kwds)
    except Exception as error:
        return error


def kind(function, *args, **kwds):
    """The class of what a call raises, where the words differ from version to version."""
    result = outcome(function, *args, **kwds)
    if not isinstance(result, Exception):
        return "nothing raised: " + show(result)
    name = type(result).__name__
    return name if name != "RemoteError" else raised(result)


def in_thread(function, *args, **kwds):
    """What a call returns or raises that is made in a thread of its own."""
    return start_thread(function, *args, **kwds)()


def start_thread(function, *args, **kwds):
    """Begin a call in a thread; the result is a function that waits for what comes of it."""
    results = []
    thread = threading.Thread(
        target=lambda: results.append(outcome(function, *args, **kwds)), daemon=True
    )
    thread.start()

    def result():
        thread.join(20)
        return results[0] if results else "nothing after 20 seconds"

    return result


def chosen(short, level, serializer, names):
    """The steps that make up a battery."""
    for step in sorted(STEPS, key=lambda step: step.last):
        if step.serializer != serializer or step.since > level:
            continue
        if names and step.name not in names:
            continue
        if short and not step.short and not names:
            continue
        yield step


def run(world, steps, tell):
    """Run steps and tell what comes of each."""
    for step in steps:
        index = 0
        try:
            for value in step.function(world):
                tell(step=step.name, since=step.since, index=index, result=show(value))
                index += 1
                # An exception among the results leads to the proxies of its step.
                del value
        except Exception as error:
            print_trace(step)
            tell(step=step.name, since=step.since, index=index, raised=raised(error))
        else:
            tell(step=step.name, since=step.since, index=index, result="the end")


def print_trace(step):
    sys.stderr.write(f"step {step.name}:\n")
    traceback.print_exc()
