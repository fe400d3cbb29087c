"""A temporary folder whose path leaves no room for the name of a Unix socket."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import marks
import pytest

pytestmark = marks.coheld_only

PROGRAM = """
import os, sys, tempfile
import coheld

if sys.argv[1] == "nowhere":

    def refuse(*args, dir=None, **kwds):
        if dir == "/tmp":
            raise PermissionError(13, "no", dir)
        return make(*args, dir=dir, **kwds)

    make, tempfile.mkdtemp = tempfile.mkdtemp, refuse
with coheld.Manager() as manager:
    shared = manager.list([1])
    shared.append(2)
    assert shared[:] == [1, 2]
    print(os.fsdecode(manager.address))
"""


@pytest.mark.parametrize(("case", "start"), [("/tmp", "/tmp/pymp-"), ("nowhere", "\0listener-")])
def test_manager_starts(case, start):
    with tempfile.TemporaryDirectory() as base:
        deep = os.path.join(base, "x" * 120)
        os.mkdir(deep)
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, case],
            env={**os.environ, "TMPDIR": deep},
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        address = ended.stdout.rstrip("\n")
        assert address.startswith(start)
        if case == "/tmp":
            assert not os.path.exists(os.path.dirname(address))
