"""The examples in the README do what the README says."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import marks
import pytest

#: The last one needs a server, as the text says; test_rust_server.py runs such programs.
NAMES = ["first", "any_class", "any_object", "other_machines", "unchanged", "without_python"]

README = pathlib.Path(__file__).parent.parent / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def test_examples_are_found():
    assert len(EXAMPLES) == len(NAMES)


@marks.coheld_only
@pytest.mark.parametrize("source", EXAMPLES[:-1], ids=NAMES[:-1])
def test_example(source, tmp_path):
    program = tmp_path / "example.py"
    program.write_text(source)
    run = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60)
    # What a line prints stands behind it.
    expected = re.findall(r"^ *print\(.*\)  # (.+)$", source, re.MULTILINE)
    assert expected and len(expected) == source.count("print(")
    assert (run.stdout.splitlines(), run.stderr, run.returncode) == (expected, "", 0)
