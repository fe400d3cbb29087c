"""Puts the module under test where CPython's tests look for ``multiprocessing.managers``."""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.managers as stock
import sys
import types
import typing

import subject

TESTS = "test._test_multiprocessing"

#: Names of the stock module that stay its own: its objects are pickled by them.
_STOCK_NAMES = frozenset({"RebuildProxy", "Token", "dispatch"})


def install() -> None:
    """Make the module under test the ``multiprocessing.managers`` of this process.

    In each process, that has to come before anything of the tests is imported or unpickled: they
    make classes of the managers' while they are being imported.
    """
    if subject.IS_STOCK or sys.modules[stock.__name__] is not stock:
        return
    assert TESTS not in sys.modules, f"{TESTS} has seen the stock manager already"
    # A module of its own with all the names of the stock one: that one has to stay as it is,
    # because its parts use each other.
    shim = types.ModuleType(stock.__name__, stock.__doc__)
    for name, value in vars(stock).items():
        if not name.startswith("_") and name not in _STOCK_NAMES:
            value = getattr(subject.managers, name, value)
        setattr(shim, name, value)
    sys.modules[stock.__name__] = shim
    multiprocessing.managers = shim


def import_tests() -> typing.Any:
    """Import CPython's tests; what they see is the module under test."""
    install()
    return importlib.import_module(TESTS)
