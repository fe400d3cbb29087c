"""The examples in the README and in the guides do what the text says."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import marks
import pytest

#: The last one needs a server, as the text says; test_rust_server.py runs such programs.
NAMES = ["first", "any_class", "any_object", "awaiting", "other_machines", "unchanged"]
NAMES += ["without_python"]

ROOT = pathlib.Path(__file__).parent.parent
README = ROOT / "README.md"
GUIDES = sorted((ROOT / "docs").glob("*.md"))


def examples_of(path: pathlib.Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)


EXAMPLES = examples_of(README)
OF_GUIDES = {
    f"{path.stem}-{number}": source
    for path in GUIDES
    for number, source in enumerate(examples_of(path), 1)
}


def test_examples_are_found():
    assert len(EXAMPLES) == len(NAMES)
    assert {"moving-1", "proxy-1"} <= set(OF_GUIDES)


@marks.coheld_only
@pytest.mark.parametrize(
    "source", [*EXAMPLES[:-1], *OF_GUIDES.values()], ids=[*NAMES[:-1], *OF_GUIDES]
)
def test_example(source, tmp_path):
    program = tmp_path / "example.py"
    program.write_text(source)
    run = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60)
    # What a line prints stands behind it.
    expected = re.findall(r"^ *print\(.*\)  # (.+)$", source, re.MULTILINE)
    assert len(expected) == source.count("print(")
    assert (run.stdout.splitlines(), run.stderr, run.returncode) == (expected, "", 0)
