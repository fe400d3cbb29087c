"""Destructors that use proxies while the interpreter ends, when nothing can be imported any more.

What is wrong then is wrong as ever: an exception that came about in such a destructor was a panic
(it was looked at in a way that lets go of the interpreter and takes it again) or an `ImportError`
(its class was looked up when the first one was raised).
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import marks
import pytest

pytestmark = marks.coheld_only

PROGRAM = """
import collections
import os
import coheld
from coheld.managers import SyncManager


class Kept:
    def __init__(self, proxy, name, use):
        self.proxy, self.name, self.use = proxy, name, use
        self.print, self.kinds = print, (BaseException, type)

    def __del__(self):
        base, type = self.kinds
        try:
            self.print(self.name, "returned", self.use(self.proxy))
        except base as error:
            self.print(self.name, type(error).__name__, error)


class Odd:
    def __hash__(self):
        return 1

    def __reduce__(self):
        return Odd, ()

    def fail(self):
        raise ValueError("mine")


class Manager(SyncManager):
    pass


Manager.register("Odd", Odd)
Manager.register("Mapping", collections.ChainMap, proxytype=coheld.managers.DictProxy)
manager = Manager()
manager.start()
"""


def at_end(text: str) -> list[str]:
    """The lines that a program prints; it keeps something beyond its last instruction."""
    text = PROGRAM + textwrap.dedent(text)
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


@pytest.mark.parametrize(
    ("make", "use", "expected"),
    [
        ("dict(a=1)", "proxy['a']", "returned 1"),
        ("dict(a=1)", "proxy['x']", "KeyError 'x'"),
        ("dict(a=1)", "proxy.pop('x')", "KeyError 'x'"),
        ("dict(a=1)", "proxy._callmethod('pop', ('x',))", "KeyError 'x'"),
        ("dict()", "proxy.popitem()", "KeyError 'popitem(): dictionary is empty'"),
        (
            "dict(a='x')",
            "proxy.increment('a')",
            'TypeError can only concatenate str (not "int") to str',
        ),
        ("set([1])", "proxy.remove(5)", "KeyError 5"),
        ("set()", "proxy.pop()", "KeyError 'pop from an empty set'"),
        ("list([1])", "proxy[9]", "IndexError list index out of range"),
        ("list([1])", "proxy.remove(9)", "ValueError list.remove(x): x not in list"),
        ("Namespace()", "proxy.x", "AttributeError 'Namespace' object has no attribute 'x'"),
        ("Queue()", "proxy.get(timeout=0.01)", "Empty "),
        ("Queue()", "proxy.get_nowait()", "Empty "),
        ("Queue()", "proxy.shutdown() or proxy.get()", "ShutDown "),
        ("Lock()", "proxy.release()", "RuntimeError release unlocked lock"),
        ("list()", "proxy.append({'a': [1.5]}) or proxy[:]", "returned [{'a': [1.5]}]"),
    ],
)
def test_values(make, use, expected):
    lines = at_end(f"kept = Kept(manager.{make}, 'it', lambda proxy: {use})")
    assert lines == [f"it {expected}"]


def test_several():
    """The one after the other, each of them with what the one before may have left."""
    lines = at_end("""
    table = manager.dict()
    kept = [Kept(table, name, lambda proxy: proxy["x"]) for name in "abc"]
    del table
    """)
    assert sorted(lines) == ["a KeyError 'x'", "b KeyError 'x'", "c KeyError 'x'"]


@pytest.mark.parametrize(
    ("make", "use"),
    [
        ("Odd()", "proxy.fail()"),
        ("Odd()", "str(proxy)[:21]"),
        ("Mapping({})", "list(proxy)"),
        ("Mapping({})", "proxy['x']"),
        ("dict({Odd(): 1})", "proxy['x']"),
    ],
)
def test_objects_of_a_manager_that_is_gone(make, use):
    """The manager process ends before the destructors of what modules hold."""
    [line] = at_end(f"kept = Kept(manager.{make}, 'it', lambda proxy: {use})")
    if use.startswith("str"):
        assert line == "it returned <AutoProxy[Odd] objec"
    else:
        assert line.startswith("it ManagerGone ")


def test_objects_of_a_manager_that_goes_on():
    """Their exceptions may not be unpickled any more, but there is always the text."""
    lines = at_end("""
    from multiprocessing import process, util
    util._finalizer_registry.clear()
    process._children.clear()
    kept = Kept(manager.Odd(), "it", lambda proxy: proxy.fail())
    """)
    assert lines[0] == "it ValueError mine" or "ValueError: mine" in lines


def test_a_dict_moves_away():
    """With its first key that has no form in shared memory, which is found out by an exception."""
    [line] = at_end("kept = Kept(manager.dict(), 'it', lambda proxy: proxy.update({Odd(): 1}))")
    assert line.startswith("it ")
    assert "Panic" not in line and "Import" not in line
