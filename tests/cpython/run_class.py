"""Runs one of CPython's test classes: python -m cpython.run_class START_METHOD CLASS REPORT

What has come out goes into the file REPORT, as JSON, after each test.
"""

from __future__ import annotations

import faulthandler
import functools
import json
import multiprocessing
import os
import signal
import sys
import unittest

import subject

from cpython import classes, drop_in

# For whoever wants to know where a process hangs.
faulthandler.register(signal.SIGUSR1)
# A job in the background of a shell ignores it, and some tests interrupt themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Result(unittest.TextTestResult):
    """Remembers the tests that passed, too, and keeps the report up to date."""

    def __init__(self, report: str, *args, **kwds) -> None:
        super().__init__(*args, **kwds)
        self.report = report
        self.passed: list[str] = []

    def addSuccess(self, test) -> None:
        super().addSuccess(test)
        self.passed.append(name_of(test))

    def stopTest(self, test) -> None:
        super().stopTest(test)
        self.write(has_ended=False)

    def printErrors(self) -> None:
        """The report has them, and the output is for what is not in it."""

    def write(self, *, has_ended: bool) -> None:
        expected = [test for test, _ in self.expectedFailures]
        outcome = {
            "has_ended": has_ended,
            "run": self.testsRun,
            "passed": self.passed,
            "skipped": {name_of(test): reason for test, reason in self.skipped},
            "failed": {test.id(): trace for test, trace in self.failures + self.errors},
            "odd": [test.id() for test in expected + self.unexpectedSuccesses],
        }
        write(self.report, outcome)


def write(report: str, outcome: dict[str, object]) -> None:
    """Replace the report, in one step: the program may be ended at any time."""
    with open(report + ".new", "w", encoding="utf-8") as file:
        json.dump(outcome, file)
    os.replace(report + ".new", report)


def name_of(test) -> str:
    """The name of a test's method; of ``setUpClass`` and its like, the whole text."""
    return getattr(test, "_testMethodName", None) or test.id()


def select(line: classes.Class) -> unittest.TestSuite:
    """The tests of the class that are to be run."""
    from cpython import host

    class_ = getattr(host, line.name)
    if issubclass(class_, host.tests.ManagerMixin):
        left = 0 if subject.IS_STOCK else line.objects_left
        check_objects(class_, line.own_objects + left)
    found = unittest.defaultTestLoader.loadTestsFromTestCase(class_)
    wanted = line.tests
    return unittest.TestSuite(test for test in found if not wanted or name_of(test) in wanted)


def check_objects(class_, expected: int) -> None:
    """Make it an error if tests leave objects in the manager; CPython only prints a warning.

    The processes of the tests have ended by then, but the manager may have to find that out.
    """
    tear_down = class_.tearDownClass

    def check_and_tear_down() -> None:
        left = subject.objects_left(class_.manager, expected)
        told = class_.manager._debug_info()
        tear_down()
        assert left == expected, f"{left} objects are left, not {expected}:\n{told}"

    class_.tearDownClass = check_and_tear_down


def main() -> None:
    start_method, name, report = sys.argv[1:]
    drop_in.install()
    # A hang ends with a trace of all threads; who started this program sees to its children.
    faulthandler.dump_traceback_later(classes.SECONDS, exit=True)
    multiprocessing.set_start_method(start_method)
    try:
        suite = select(classes.find(name))
    except unittest.SkipTest as reason:
        write(report, {"unavailable": str(reason)})
        return
    make_result = functools.partial(Result, report)
    result = unittest.TextTestRunner(verbosity=2, resultclass=make_result).run(suite)
    assert isinstance(result, Result)
    result.write(has_ended=True)


if __name__ == "__main__":
    main()
