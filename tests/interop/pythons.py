"""The Pythons of this machine: plain ones, and those into which the tests' Coheld is built."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

#: The oldest Python that takes part. Coheld itself needs a newer one, its clients do not.
OLDEST = 8
NEWEST = 15

IDENTIFY = """
import platform, sys
if platform.python_implementation() == "CPython":
    print("%d.%d" % sys.version_info[:2], getattr(sys, "_base_executable", sys.executable))
"""


def identify(program):
    """The version of a Python and the program that it really is, or None if it is none."""
    try:
        done = subprocess.run(
            [program, "-I", "-c", IDENTIFY],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version, _, path = done.stdout.strip().partition(" ")
    if done.returncode != 0 or not version:
        return None
    return tuple(int(part) for part in version.split(".")), path


def candidates():
    """Programs that may be a Python, the likely ones first."""
    minors = range(OLDEST, NEWEST + 1)
    for minor in minors:
        found = shutil.which(f"python3.{minor}")
        if found:
            yield found
    found = shutil.which("python3")
    if found:
        yield found
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(map(str, root.glob("versions/3.*/bin/python")), reverse=True)


@functools.cache
def stock_pythons():
    """The plain Pythons that take part: versions with programs, the oldest first."""
    found = {}
    for candidate in candidates():
        identity = identify(candidate)
        if identity and (3, OLDEST) <= identity[0]:
            found.setdefault(*identity)
    return dict(sorted(found.items()))


def coheld_pythons(folder):
    """The Pythons of a folder of virtual environments, `3.X/bin/python`, that have Coheld."""
    found = {}
    for program in Path(folder).glob("3.*/bin/python"):
        identity = identify(program)
        if (
            identity
            and subprocess.run(
                [program, "-c", "import coheld.managers"], capture_output=True
            ).returncode
            == 0
        ):
            found[identity[0]] = str(program)
    return dict(sorted(found.items()))
