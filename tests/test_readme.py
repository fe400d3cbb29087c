"""The examples in the README and in the pages of the book do what the text says.

Those in Rust are tests of the crate `coheld`: `documents` in its lib.rs.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import coheld
import marks
import pytest
import rust_server

#: The last one needs a server, as the text says; test_rust_server.py runs such programs.
NAMES = ["first", "any_class", "any_object", "awaiting", "other_machines", "unchanged"]
NAMES += ["without_python"]

ROOT = pathlib.Path(__file__).parent.parent
README = ROOT / "README.md"
GUIDES = sorted((ROOT / "docs").glob("*.md"))


def examples_of(path: pathlib.Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """What the documents have their readers type into a shell."""
    blocks = [
        block
        for path in [README, *GUIDES]
        for block in re.findall(r"^```\w+\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    ]
    return [line for block in blocks for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE)]


EXAMPLES = examples_of(README)
OF_GUIDES = {
    f"{path.stem}-{number}": source
    for path in GUIDES
    for number, source in enumerate(examples_of(path), 1)
}


def test_examples_are_found():
    assert len(EXAMPLES) == len(NAMES)
    # None is left out by another word behind the fence.
    for path in [README, *GUIDES]:
        assert len(examples_of(path)) == path.read_text().count("```py"), path
    pages = {name.rpartition("-")[0] for name in OF_GUIDES}
    assert {"introduction", "guide-python", "moving", "proxy"} <= pages


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


@marks.coheld_only
def test_the_program_that_joins_another_one():
    """The block in the guide for Rust that does not run with the others: it needs a manager."""
    guide = (ROOT / "docs" / "guide-rust.md").read_text()
    [block] = re.findall(r"^```rust,no_run\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    source = (ROOT / "crates" / "coheld" / "examples" / "join.rs").read_text()
    assert source.endswith("\n\n" + block)

    program = pathlib.Path(rust_server.binary()).parent / "examples" / "join"
    with coheld.Manager() as manager:
        counts = manager.dict(rose=3)
        environment = {**os.environ, "COHELD_AUTHKEY": manager._authkey.hex()}
        command = [str(program), counts._token.text]
        subprocess.run(command, env=environment, check=True, timeout=60)
        assert counts.copy() == {"rose": 4, "lists": 1}
    no_token = subprocess.run([str(program)], capture_output=True, text=True, timeout=60)
    assert (no_token.returncode, no_token.stdout) == (1, "")
    assert "the token of a dict, please" in no_token.stderr


def test_shells_are_told_to_do_what_can_be_done():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    usage = subprocess.run([rust_server.binary(), "--help"], capture_output=True, text=True)
    verbs = set(re.findall(r"^  ([a-z]+) +[A-Z]", usage.stdout, re.MULTILINE))
    options = {
        verb: subprocess.run(
            [rust_server.binary(), verb, "--help"], capture_output=True, text=True
        ).stdout
        for verb in verbs - {"help"}
    }
    told = {"make": 0, "coheld": 0}
    built = "cargo run --release -p coheld-cli --"
    for command in commands():
        words = command.split("#")[0].replace(built, "coheld").split()
        if words[0] == "make":
            assert set(words[1:]) <= targets, command
        elif words[0] == "coheld":
            assert words[1] in verbs, command
            for option in filter(lambda word: word.startswith("--"), words):
                assert option in options[words[1]], command
        told[words[0]] = told.get(words[0], 0) + 1
    assert told["make"] >= 4 and told["coheld"] >= 6
