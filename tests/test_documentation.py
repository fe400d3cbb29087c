"""The transcripts of Python's documentation of managers and proxy objects, word for word.

The text is that of docs.python.org/3/library/multiprocessing.html, sections "Managers" and "Proxy
Objects". Only addresses are left open, and the package that Manager is imported from.
"""

from __future__ import annotations

import doctest
import io
import multiprocessing
import subprocess
import sys
import textwrap

import subject

LIST_OF_SQUARES = """
>>> l = manager.list([i*i for i in range(10)])
>>> print(l)
[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]
>>> print(repr(l))
<ListProxy object, typeid 'list' at 0x...>
>>> l[4]
16
>>> l[2:5]
[4, 9, 16]
"""

NESTED_LISTS = """
>>> a = manager.list()
>>> b = manager.list()
>>> a.append(b)         # referent of a now contains referent of b
>>> print(a, b)
[<ListProxy object, typeid 'list' at ...>] []
>>> b.append('hello')
>>> print(a[0], b)
['hello'] ['hello']
"""

NESTED_DICTS = """
>>> l_outer = manager.list([ manager.dict() for i in range(2) ])
>>> d_first_inner = l_outer[0]
>>> d_first_inner['a'] = 1
>>> d_first_inner['b'] = 2
>>> l_outer[1]['c'] = 3
>>> l_outer[1]['z'] = 26
>>> print(l_outer[0])
{'a': 1, 'b': 2}
>>> print(l_outer[1])
{'c': 3, 'z': 26}
"""

# In the documentation this is code with comments; what the comments say is checked in between.
MUTABLE_INSIDE_A_PROXY = """
>>> # create a list proxy and append a mutable object (a dictionary)
>>> lproxy = manager.list()
>>> lproxy.append({})
>>> # now mutate the dictionary
>>> d = lproxy[0]
>>> d['a'] = 1
>>> d['b'] = 2
>>> # at this point, the changes to d are not yet synced, but by
>>> # updating the dictionary, the proxy is notified of the change
>>> print(lproxy)
[{}]
>>> lproxy[0] = d
>>> print(lproxy)
[{'a': 1, 'b': 2}]
"""

COMPARISON = """
>>> manager.list([1,2,3]) == [1,2,3]
False
"""

CALL_METHOD = """
>>> l = manager.list(range(10))
>>> l._callmethod('__len__')
10
>>> l._callmethod('__getitem__', (slice(2, 7),)) # equivalent to l[2:7]
[2, 3, 4, 5, 6]
>>> l._callmethod('__getitem__', (20,))          # equivalent to l[20]
Traceback (most recent call last):
...
IndexError: list index out of range
"""

GET_VALUE = """
>>> l = manager.list(range(10))
>>> l._getvalue()
[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
>>> type(l._getvalue())
<class 'list'>
>>> repr(l)
"<ListProxy object, typeid 'list' at 0x...>"
>>> str(l)
'[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]'
"""

NAMESPACE = """
>>> Global = manager.Namespace()
>>> Global.x = 10
>>> Global.y = 'hello'
>>> Global._z = 12.3    # this is an attribute of the proxy
>>> print(Global)
Namespace(x=10, y='hello')
"""

SERVER_PROCESS = """
from multiprocessing import Process, Manager

def f(d, l):
    d[1] = '1'
    d['2'] = 2
    d[0.25] = None
    l.reverse()

if __name__ == '__main__':
    with Manager() as manager:
        d = manager.dict()
        l = manager.list(range(10))

        p = Process(target=f, args=(d, l))
        p.start()
        p.join()

        print(d)
        print(l)
"""


def check(transcript: str, manager) -> None:
    """Run a transcript with `manager` known, and fail with the difference if there is one."""
    test = doctest.DocTestParser().get_doctest(
        textwrap.dedent(transcript), {"manager": manager}, "transcript", None, 0
    )
    report = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test, out=report.write)
    assert runner.summarize(verbose=False).failed == 0, report.getvalue()


def test_list_of_squares(manager):
    check(LIST_OF_SQUARES, manager)


def test_nested_lists(manager):
    check(NESTED_LISTS, manager)


def test_nested_dicts(manager):
    check(NESTED_DICTS, manager)


def test_mutable_inside_a_proxy(manager):
    check(MUTABLE_INSIDE_A_PROXY, manager)


def test_comparison(manager):
    check(COMPARISON, manager)


def test_callmethod(manager):
    check(CALL_METHOD, manager)


def test_getvalue(manager):
    check(GET_VALUE, manager)


def test_namespace():
    # The documentation starts this one with the spawn context.
    manager = subject.start_manager(multiprocessing.get_context("spawn"))
    try:
        check(NAMESPACE, manager)
    finally:
        manager.shutdown()


def test_server_process(tmp_path):
    program = SERVER_PROCESS
    if not subject.IS_STOCK:
        program = program.replace(
            "from multiprocessing import Process, Manager",
            "from multiprocessing import Process\nfrom coheld import Manager",
        )
    script = tmp_path / "server_process.py"
    script.write_text(program)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=50)
    assert done.stderr == ""
    # The documentation prints the dict in an order of older days; the entries are the same.
    assert done.stdout == ("{1: '1', '2': 2, 0.25: None}\n[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]\n")
