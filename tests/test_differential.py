"""Long random programs give the same results, errors and contents on Coheld as elsewhere.

Elsewhere is the stock manager of the running Python, and, for what that one lacks (sets, newer
methods of list and dict), ordinary local objects. What may differ is in improvements.py and
nowhere else. A program that fails is cut down to the steps that matter and printed.

COHELD_DIFFERENTIAL_PROGRAMS sets how many programs of each kind are run, COHELD_DIFFERENTIAL_SEED
where their numbers begin.
"""

from __future__ import annotations

import array
import contextlib
import multiprocessing
import multiprocessing.managers
import os
import re
import sys
import warnings

import improvements
import marks
import pytest
import random_programs
import subject

PROGRAMS = int(os.environ.get("COHELD_DIFFERENTIAL_PROGRAMS", "12"))
FIRST_SEED = int(os.environ.get("COHELD_DIFFERENTIAL_SEED", "0"))
LENGTH = 150
# On the stock manager each proxy that is read back costs four connections.
LENGTH_NESTED = 50
MOST_REPLAYS = 400

TYPECODES = "bBhHiIlLqQfd"
# How to look at all of `x`, and how to make both sides equal again after a step that may differ.
CONTENTS = {
    "list": "x[:]",
    "dict": "x.items()",
    "set": "x.copy()",
    "Namespace": "str(x)",
    "Value": "x.value",
    "Array": "x[:]",
    "nested": "(x[:], y.items())",
}
RESET = {
    "list": "del x[:]",
    "dict": "x.clear()",
    "set": "x.clear()",
    "nested": "del x[:]; y.clear()",
}


class Local:
    """Ordinary objects under a manager's names."""

    list, dict, set = list, dict, set
    Namespace = multiprocessing.managers.Namespace
    Value = multiprocessing.managers.Value
    Array = staticmethod(multiprocessing.managers.Array)


def make_names(kind: str, seed: int, manager) -> dict:
    """The names a program sees."""
    names = {"array": array.array}
    if kind == "nested":
        names.update(x=manager.list(), y=manager.dict())
    elif kind == "Value":
        names["x"] = manager.Value("i", seed)
    elif kind == "Array":
        names["x"] = manager.Array(TYPECODES[seed % len(TYPECODES)], range(5))
    else:
        names["x"] = getattr(manager, kind)()
    return names


def run_step(text: str, names: dict) -> str:
    """What a step does, as a text that is the same for a proxy and what it stands for."""
    try:
        try:
            code = compile(text, "step", "eval")
        except SyntaxError:
            exec(text, names)
            return "done"
        return describe(eval(code, names), names)
    except Exception as problem:
        return describe_error(problem)


def describe(result, names: dict) -> str:
    if result is names.get("x"):
        return "itself"
    if isinstance(result, (set, frozenset)):
        return f"{type(result).__name__} {sorted(map(repr, result))}"
    if isinstance(result, (type({}.keys()), type({}.values()), type({}.items()))):
        result = list(result)
    return f"{type(result).__name__} {neutral(repr(result))}"


def describe_error(problem: Exception) -> str:
    text = str(problem)
    if type(problem).__name__ == "RemoteError":
        # The traceback names files and lines of the other side; its last line is the error.
        text = text.rstrip("-\n").rsplit("\n", 1)[-1]
    return f"{type(problem).__name__}: {neutral(text)}"


def neutral(text: str) -> str:
    """Without addresses, and with the names of proxies as those of what they stand for."""
    text = subject.without_addresses(text)
    for name in ("list", "dict", "set", "Namespace", "Value"):
        text = text.replace(name[0].upper() + name[1:] + "Proxy", name)
    return text


def usable(step: random_programs.Step, reference: str) -> bool:
    """Whether both sides have what the step needs."""
    stock_takes_part = subject.IS_STOCK or reference == "stock"
    if stock_takes_part and sys.version_info < step.since:
        return False
    return step.local or reference == "stock"


class Difference(Exception):
    """Two sides that did not do the same; the arguments say where and what."""


def run_program(kind: str, seed: int, steps: list, sides: list) -> None:
    """Run the steps on both sides at once; raises a Difference where they part."""
    names = [make_names(kind, seed, side) for side in sides]
    try:
        compare(kind, steps, names)
    finally:
        if kind == "nested":
            # Objects that contain each other would keep each other.
            for side in names:
                exec(RESET[kind], side)


def compare(kind: str, steps: list, names: list) -> None:
    """Run each step on both sides and compare what it does and what it leaves."""
    for position, step in enumerate(steps):
        outcomes = [run_step(step, side) for side in names]
        differ = outcomes[0] != outcomes[1]
        if differ and not improvements.outcome_may_differ(kind, step):
            raise Difference(position, "outcome", outcomes)
        failed = any(re.match(r"\w+(Error|Exception)\b", outcome) for outcome in outcomes)
        if differ or (failed and improvements.contents_may_differ(kind, step)):
            for side in names:
                exec(RESET[kind], side)
        contents = [run_step(CONTENTS[kind], side) for side in names]
        if contents[0] != contents[1]:
            raise Difference(position, "contents", contents)


def fails(kind: str, seed: int, steps: list, sides: list) -> Difference | None:
    try:
        run_program(kind, seed, steps, sides)
    except Difference as difference:
        return difference
    return None


def smallest(kind: str, seed: int, steps: list, sides: list, difference: Difference) -> list:
    """The steps without those that the difference does not need."""
    steps = steps[: difference.args[0] + 1]
    replays = 0
    size = max(len(steps) // 2, 1)
    while size and replays < MOST_REPLAYS:
        position = 0
        while position < len(steps) and replays < MOST_REPLAYS:
            shorter = steps[:position] + steps[position + size :]
            replays += 1
            found = fails(kind, seed, shorter, sides) if shorter else None
            if found:
                steps = shorter[: found.args[0] + 1]
            else:
                position += size
        size //= 2
    return steps


def report(kind: str, seed: int, steps: list, sides: list, reference: str) -> str:
    difference = fails(kind, seed, steps, sides)
    lines = [f"program {seed} of kind {kind}, cut down to:"]
    lines += [f"    {step}" for step in steps]
    if difference:
        _, what, (theirs, ours) = difference.args
        lines += [
            f"{what} of the last step:",
            f"    {reference:<8}{theirs}",
            f"    {'subject':<8}{ours}",
        ]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def managers_to_compare():
    """The stock manager, and the one under test; each program makes its own objects on both."""
    with contextlib.ExitStack() as stack:
        stock = stack.enter_context(multiprocessing.get_context("fork").Manager())
        ours = subject.start_manager()
        stack.callback(ours.shutdown)
        yield stock, ours


@pytest.mark.timeout(300)
@pytest.mark.parametrize("reference", ["stock", "local"])
@pytest.mark.parametrize("kind", random_programs.STEPS)
def test_random_programs(managers_to_compare, kind, reference):
    stock, ours = managers_to_compare
    if kind == "set" and sys.version_info < (3, 14) and (reference == "stock" or subject.IS_STOCK):
        pytest.skip("the stock manager has sets since 3.14")
    if kind == "nested" and reference == "local":
        pytest.skip("local objects do not nest by reference in the same words")
    length = LENGTH_NESTED if kind == "nested" else LENGTH
    sides = [stock if reference == "stock" else Local, ours]
    with warnings.catch_warnings():
        # Programs compare and index with whatever comes; the warnings are the same on both sides.
        warnings.simplefilter("ignore")
        programs = PROGRAMS if kind != "nested" else max(PROGRAMS // 3, 1)
        for seed in range(FIRST_SEED, FIRST_SEED + programs):
            steps = [
                step.text
                for step in random_programs.program(kind, seed, length)
                if usable(step, reference)
            ]
            difference = fails(kind, seed, steps, sides)
            if difference:
                steps = smallest(kind, seed, steps, sides, difference)
                pytest.fail(report(kind, seed, steps, sides, reference), pytrace=False)


@marks.coheld_only
def test_nothing_is_left(managers_to_compare):
    assert subject.objects_left(managers_to_compare[1]) == 0
