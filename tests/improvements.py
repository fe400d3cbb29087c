"""Where Coheld means to differ from the stock manager: the only differences tests may overlook.

Each is also a line of docs/compat.md. The differential test takes two kinds of them: a step whose
outcome may differ, and a step after whose *error* the contents may differ.
"""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Improvement:
    """A known difference, found by the kind of referent and the text of the step."""

    kinds: str
    """Kinds of referents, separated by spaces."""
    step: str
    """A regular expression that matches the step's text from its beginning."""
    reason: str
    outcome: bool = False
    """The outcome of the step may differ."""
    contents_after_error: bool = False
    """If the step fails on both sides, what is left in the referent may differ."""

    def covers(self, kind: str, step: str) -> bool:
        return kind in self.kinds.split() and re.match(self.step, step) is not None


IMPROVEMENTS = (
    Improvement(
        "nested",
        r"x\.extend\(y\)",
        "a dict proxy can be iterated everywhere, not only by who created it",
        outcome=True,
    ),
    Improvement(
        "dict",
        r"x\.pop\((\[\]|\{\}|\(1,\[\]\)|\{1\})",
        "pop of a key that cannot be one is a TypeError, also when the dict is empty",
        outcome=True,
    ),
    Improvement(
        "list",
        r"x\.sort\(",
        "a sort that fails leaves the list as it was, not half sorted",
        contents_after_error=True,
    ),
    Improvement(
        "list",
        r"x\.extend\(|x \+= |x\[.*\] = ",
        "an extend or slice assignment that fails adds nothing",
        contents_after_error=True,
    ),
    Improvement(
        "dict",
        r"x\.update\(|x \|= ",
        "an update that fails changes nothing",
        contents_after_error=True,
    ),
    Improvement(
        "set",
        r"x\.\w*update\(",
        "an update that fails changes nothing",
        contents_after_error=True,
    ),
)


def outcome_may_differ(kind: str, step: str) -> bool:
    return any(known.outcome and known.covers(kind, step) for known in IMPROVEMENTS)


def contents_may_differ(kind: str, step: str) -> bool:
    return any(known.contents_after_error and known.covers(kind, step) for known in IMPROVEMENTS)
