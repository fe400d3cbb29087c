"""The example at the top of the README does what the README says."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import marks

README = pathlib.Path(__file__).parent.parent / "README.md"


@marks.coheld_only
def test_first_example(tmp_path):
    source = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL).group(1)
    program = tmp_path / "example.py"
    program.write_text(source)
    run = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60)
    expected = re.search(r"# (\d+ \d+)$", source, re.MULTILINE).group(1)
    assert (run.stdout.strip(), run.stderr, run.returncode) == (expected, "", 0)
