"""CPython's own tests of managers pass; see cpython/classes.py for which, and the reasons.

Each class is run by a program of its own, under each start method: a hang or a crash is an outcome
like any other, and this process never sees the other ``multiprocessing.managers``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import subject
from cpython import classes, drop_in

#: What the program gets beyond its own limit, so that it can say where it hangs.
GRACE = 30

#: How long its processes may go on after it has ended.
AFTERLIFE = 10


def is_available() -> bool:
    try:
        return importlib.util.find_spec(drop_in.TESTS) is not None
    except ModuleNotFoundError:
        return False


pytestmark = pytest.mark.skipif(
    not is_available(),
    reason=f"this Python comes without its test package ({drop_in.TESTS}); on Debian and Ubuntu: "
    "apt install libpython3-testsuite",
)


def others_of_group(group: int) -> list[str]:
    """The command lines of the group's living processes, without its leader's."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group != int(folder.name) and state not in "ZX":
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                found.append(f"{folder.name}: {command.decode(errors='replace')}")
        except OSError:
            pass  # It has ended meanwhile.
    return found


class Program:
    """`cpython.run_class` in a process group of its own, which ends with it."""

    def __init__(self, line: classes.Class, start_method: str, folder: Path) -> None:
        self.report = folder / "report.json"
        self.log = folder / "output.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cpython.run_class", start_method, line.name, self.report],
                cwd=folder,
                # By the variable, because fork servers of some versions ignore their parent's path.
                env={
                    **os.environ,
                    "PYTHONPATH": os.path.dirname(os.path.abspath(__file__)),
                    "PYTHONFAULTHANDLER": "1",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *exception) -> None:
        # It has not been waited for yet, so the number is still that of its group.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def has_ended(self) -> bool:
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.process.pid, options) is not None

    def wait(self) -> list[str]:
        """Wait until all processes have ended; what is wrong with that."""
        wrong = []
        if not subject.wait_until(self.has_ended, classes.SECONDS + GRACE):
            wrong.append("the program did not end")
        subject.wait_until(lambda: not others_of_group(self.process.pid), AFTERLIFE)
        left = others_of_group(self.process.pid)
        if left:
            wrong += ["it left processes behind, whose traces are in the output:", *left]
        if wrong:
            # It tells those that are left to say where they are; see cpython/run_class.py.
            os.killpg(self.process.pid, signal.SIGUSR1)
            subject.wait_until(lambda: not others_of_group(self.process.pid), 1)
        return wrong

    def output(self) -> str:
        return self.log.read_text(errors="replace")[-20_000:]


def problems(line: classes.Class, outcome) -> list[str]:
    """All that is not as it has to be."""
    found = [f"{test} failed:\n{trace}" for test, trace in outcome["failed"].items()]
    found += [f"{test} was expected to fail" for test in outcome["odd"]]
    found += [
        f"{test} was skipped: {reason}"
        for test, reason in outcome["skipped"].items()
        if test not in line.skips
    ]
    count = len(outcome["passed"])
    if not outcome["has_ended"]:
        found.append(f"not all tests were run; {count} have passed")
    elif count < line.passes:
        found.append(f"{count} of {outcome['run']} tests have passed; {line.passes} had to")
    return found


@pytest.mark.timeout(classes.SECONDS + GRACE + AFTERLIFE + 30)
@pytest.mark.parametrize("line", classes.CLASSES, ids=lambda line: line.name)
@pytest.mark.parametrize("start_method", subject.START_METHODS)
def test_class(line, start_method, tmp_path):
    if sys.version_info < line.since:
        pytest.skip(f"Python has this class since {'.'.join(map(str, line.since))}")
    with Program(line, start_method, tmp_path) as program:
        found = program.wait()
    if program.process.returncode != 0:
        found.append(f"the exit status is {program.process.returncode}")
    if program.report.exists():
        outcome = json.loads(program.report.read_text())
        if "unavailable" in outcome:
            pytest.skip(outcome["unavailable"])
        found += problems(line, outcome)
    else:
        found.append("no test has ended")
    if found:
        told = [f"{line.name} under {start_method}:", *found, "---- output ----", program.output()]
        pytest.fail("\n".join(told), pytrace=False)
