"""Random classes behind proxies do the same with Coheld as with the stock manager.

A class, the way it is registered and a program over its objects are drawn from a number; each step
has to have the same result or the same exception on both sides, and leave the objects the same.
What may differ is listed here, each with its reason, and in docs/compat.md.

COHELD_DIFFERENTIAL_CLASSES sets how many classes are tried, COHELD_DIFFERENTIAL_SEED where their
numbers begin.
"""

from __future__ import annotations

import contextlib
import copy
import multiprocessing
import multiprocessing.managers as stock
import os
import pickle
import random
import re
import warnings

import hosted_programs
import pytest
import subject

CLASSES = int(os.environ.get("COHELD_DIFFERENTIAL_CLASSES", "16"))
FIRST_SEED = int(os.environ.get("COHELD_DIFFERENTIAL_SEED", "0"))
LENGTH = 120
# A pickled proxy of a class that was made in a function cannot be unpickled anywhere.
NOT_FOR_OWN_CLASSES = re.compile(r"pickle|copy|\.read\(|\.push\([xy]\)|, [xy]\)")


def exhaust(iterator) -> list:
    found = []
    with contextlib.suppress(StopIteration):
        while True:
            found.append(next(iterator))
    return found


def send(iterator, value):
    next(iterator)
    return iterator.send(value)


def put(proxy, position, value) -> None:
    proxy[position] = value


def neutral(text: str) -> str:
    text = subject.without_addresses(text)
    return re.sub(r"0x[0-9a-f]+", "0x...", text)


def describe(result) -> str:
    if isinstance(result, stock.BaseProxy) or hasattr(type(result), "_callmethod"):
        return f"proxy {type(result).__name__}"
    if isinstance(result, (tuple, list)):
        return f"{type(result).__name__} of {', '.join(map(describe, result))}"
    if isinstance(result, (set, frozenset)):
        return f"{type(result).__name__} {sorted(map(repr, result))}"
    if isinstance(result, dict):
        return f"dict of {sorted((repr(key), describe(value)) for key, value in result.items())}"
    return f"{type(result).__name__} {neutral(repr(result))}"


def describe_error(problem: BaseException) -> str:
    name, text = type(problem).__name__, str(problem)
    if name == "RemoteError":
        kind = "Unserializable" if "Unserializable message" in text else "traceback"
        # The traceback names files and lines of the other side; its last line is the error.
        text = f"{kind} {text.rstrip('-' + chr(10)).rsplit(chr(10), 1)[-1]}"
    shown = vars(problem) if name == "OddError" else {}
    return f"{name}: {neutral(text)} {shown}".rstrip()


def run_step(text: str, names: dict) -> str:
    try:
        return describe(eval(text, names))
    except Exception as problem:
        return describe_error(problem)


def same(step: str, theirs: str, ours: str) -> bool:
    """Whether two outcomes are the same, as far as they have to be."""
    if theirs == ours:
        return True
    # The pickle module says which object it cannot pickle in words of its own, depending on who
    # pickles and in which version; that it cannot is what counts.
    pickling = re.compile(r"(PicklingError|AttributeError|TypeError): .*(pickle|lambda)")
    if pickling.match(theirs) and pickling.match(ours):
        return True
    both = (theirs.startswith("RemoteError: Unserial"), ours.startswith("RemoteError: Unserial"))
    return all(both)


@contextlib.contextmanager
def started(module, registration):
    """A manager of the module, in a process, that knows the class."""

    class RandomManager(module.BaseManager):
        pass

    registration.register(RandomManager, module)
    with RandomManager(ctx=multiprocessing.get_context("fork")) as manager:
        yield manager


def names_of(module, manager) -> dict:
    return {
        "x": manager.Random(),
        "y": manager.Random(5, ["a", 1]),
        "copy": copy,
        "pickle": pickle,
        "exhaust": exhaust,
        "send": send,
        "put": put,
        "BaseProxy": module.BaseProxy,
    }


@pytest.mark.timeout(240)
@pytest.mark.parametrize("group", range(4))
def test_random_classes(group):
    for seed in range(FIRST_SEED + group, FIRST_SEED + CLASSES, 4):
        source = random.Random(seed)
        registration = hosted_programs.registration(source)
        steps = hosted_programs.program(source, LENGTH)
        if registration.proxy == "own" or registration.proxy == "made":
            steps = [step for step in steps if not NOT_FOR_OWN_CLASSES.search(step)]
        with contextlib.ExitStack() as stack:
            sides = []
            for module in (stock, subject.managers):
                manager = stack.enter_context(started(module, registration))
                sides.append(names_of(module, manager))
            done = []
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for step in steps:
                    outcomes = [run_step(step, side) for side in sides]
                    done.append(step)
                    assert same(step, *outcomes), report(seed, registration, done, outcomes)
                    states = [run_step("str(x), str(y)", side) for side in sides]
                    assert states[0] == states[1], report(seed, registration, done, states)
            # The proxies have to go before their managers do.
            sides.clear()


def report(seed, registration, done, outcomes) -> str:
    lines = [f"class {seed}: {registration}", "the last steps:"]
    lines += [f"    {step}" for step in done[-5:]]
    lines += [f"    stock    {outcomes[0]}", f"    subject  {outcomes[1]}"]
    return "\n".join(lines)
