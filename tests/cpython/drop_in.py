"""Puts the module under test where CPython's tests look for ``multiprocessing.managers``."""

from __future__ import annotations

import sys

import subject

TESTS = "test._test_multiprocessing"


def install() -> None:
    """Make the module under test the ``multiprocessing.managers`` of this process and its children.

    That has to come before anything of the tests is imported: they make classes of the managers'
    while they are being imported. Children do nothing for it themselves.
    """
    if subject.IS_STOCK:
        return
    assert TESTS not in sys.modules, f"{TESTS} has seen the stock manager already"
    import coheld

    coheld.install()
