"""Operations on native referents make no system call: shown by strace, not by argument.

The traced program calls stat() on two names that do not exist, right before and right after its
loop. Whatever strace records in between is what the loop asked of the kernel.
"""

from __future__ import annotations

import collections
import re
import shutil
import subprocess
import sys

import marks
import pytest

pytestmark = [marks.coheld_only, pytest.mark.timeout(120)]

BEGIN, END = "/coheld-loop-begins", "/coheld-loop-ends"

PROGRAM = """
import gc, os, sys
import coheld

def mark(name):
    try:
        os.stat(name)
    except FileNotFoundError:
        pass

def loop(number):
    for _ in range(number):
        {statement}

if __name__ == "__main__":
    manager = coheld.Manager()
    {setup}
    # Warm up: caches of the interpreter, first use of the objects.
    loop(1000)
    gc.disable()
    mark({begin!r})
    loop({number})
    mark({end!r})
    manager.shutdown()
"""

# The same for statements with `await`, in a loop of asyncio.
AWAITING = PROGRAM.replace("import coheld\n", "import asyncio, coheld.aio\n")
AWAITING = AWAITING.replace("def loop(", "async def loop(")
AWAITING = (
    AWAITING[: AWAITING.index("if __name__")]
    + """
async def main():
    global x
    {setup}
    await loop(1000)
    gc.disable()
    mark({begin!r})
    await loop({number})
    mark({end!r})

if __name__ == "__main__":
    manager = coheld.Manager()
    asyncio.run(main())
    manager.shutdown()
"""
)

MILLION = 1_000_000

# Lines of strace's record that are signals, ends of processes, and second halves of calls.
NO_CALLS = ("---", "+++", "<...")

LOOPS = {
    "list get": ("x = manager.list(range(100))", "x[50]"),
    "list set": ("x = manager.list(range(100))", "x[50] = 7"),
    "list len": ("x = manager.list(range(100))", "len(x)"),
    "list append and pop": ("x = manager.list(range(100))", "x.append(1); x.pop()"),
    "Value get": ("x = manager.Value('i', 7)", "x.value"),
    "Value set": ("x = manager.Value('i', 7)", "x.value = 8"),
    "Value increment": ("x = manager.Value('i', 7)", "x.increment()"),
    "Value compare_exchange": ("x = manager.Value('i', 7)", "x.compare_exchange(7, 7)"),
    "dict get": ("x = manager.dict({f'key {n}': n for n in range(100)})", "x['key 50']"),
    "dict set": ("x = manager.dict({f'key {n}': n for n in range(100)})", "x['key 50'] = 7"),
    "dict in": ("x = manager.dict({f'key {n}': n for n in range(100)})", "'key 5' in x"),
    "dict increment": (
        "x = manager.dict({f'key {n}': n for n in range(100)})",
        "x.increment('key 50', 2)",
    ),
    "dict compare_exchange": (
        "x = manager.dict({f'key {n}': n for n in range(100)})",
        "x.compare_exchange('key 50', 50, 50)",
    ),
    "Namespace get": ("x = manager.Namespace(name=7)", "x.name"),
    "Lock": ("x = manager.Lock()", "x.acquire(); x.release()"),
    "RLock twice": (
        "x = manager.RLock()",
        "x.acquire(); x.acquire(); x.release(); x.release()",
    ),
    "Semaphore": ("x = manager.Semaphore(2)", "x.acquire(); x.release()"),
    "Condition": ("x = manager.Condition()", "x.acquire(); x.notify(); x.release()"),
    "Event": ("x = manager.Event()", "x.set(); x.is_set(); x.wait(); x.clear()"),
    "Queue": ("x = manager.Queue()", "x.put(1); x.get()"),
    "JoinableQueue": ("x = manager.JoinableQueue()", "x.put(1); x.get(); x.task_done(); x.join()"),
    "Array get": ("x = manager.Array('d', [0.5] * 100)", "x[50]"),
}

AWAITED_LOOPS = {
    "await queue": ("x = coheld.aio.wrap(manager.Queue())", "await x.put(1); await x.get()"),
    "await lock": ("x = coheld.aio.wrap(manager.Lock())", "await x.acquire(); x.release()"),
    "await RLock": ("x = coheld.aio.wrap(manager.RLock())", "await x.acquire(); x.release()"),
    "await event": ("x = coheld.aio.wrap(manager.Event()); x.set()", "await x.wait()"),
}


def strace_works() -> str:
    """Why system calls cannot be traced here; empty if they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"strace may not trace here: {done.stderr.strip()}"


@pytest.fixture(scope="module")
def strace():
    reason = strace_works()
    if reason:
        pytest.skip(f"NOT PROVEN: {reason}")
    return "strace"


def calls_in_loop(
    strace, folder, setup: str, statement: str, number: int, program: str = PROGRAM
) -> collections.Counter:
    script, record = folder / "loop.py", folder / "record"
    script.write_text(
        program.format(setup=setup, statement=statement, number=number, begin=BEGIN, end=END)
    )
    subprocess.run([strace, "-f", "-o", str(record), sys.executable, str(script)], check=True)
    calls: collections.Counter = collections.Counter()
    owner = None
    for line in record.read_text().splitlines():
        process, _, call = line.partition(" ")
        if BEGIN in call:
            owner = process
        elif END in call:
            return calls
        elif owner == process and not call.lstrip().startswith(NO_CALLS):
            calls[re.split(r"[(\s]", call.strip(), maxsplit=1)[0]] += 1
    pytest.fail("the marks of the loop are not in the record")


@pytest.mark.parametrize("loop", LOOPS)
def test_no_system_call_in_a_million(strace, tmp_path, loop):
    setup, statement = LOOPS[loop]
    calls = calls_in_loop(strace, tmp_path, setup, statement, MILLION)
    if set(calls) == {"futex"}:
        # The manager looks after the memory once a second. Who meets it at a lock may have to
        # sleep, where it is not let run just then; but not every time.
        calls = calls_in_loop(strace, tmp_path, setup, statement, MILLION)
    assert calls == {}


@pytest.mark.parametrize("loop", AWAITED_LOOPS)
def test_no_system_call_in_a_hundred_thousand_awaits(strace, tmp_path, loop):
    setup, statement = AWAITED_LOOPS[loop]
    calls = calls_in_loop(strace, tmp_path, setup, statement, MILLION // 10, AWAITING)
    if sys.version_info < (3, 12):
        # Asked by asyncio.get_running_loop(), which has to notice forks.
        del calls["getpid"]
    assert calls == {}


def test_the_method_sees_system_calls(strace, tmp_path):
    """If strace could not see what a loop does, an empty record would prove nothing."""
    seen = calls_in_loop(strace, tmp_path, "x = 0", "os.getppid()", 10)
    assert seen == {"getppid": 10}


def test_count_of_system_calls_as_strace_prints_it(strace, tmp_path, capsys):
    """`strace -c` of a whole program: a million gets add nothing to the table."""
    totals = []
    for number in (0, MILLION):
        script, table = tmp_path / "whole.py", tmp_path / "table"
        setup, statement = LOOPS["list get"]
        script.write_text(
            PROGRAM.format(setup=setup, statement=statement, number=number, begin=BEGIN, end=END)
        )
        subprocess.run([strace, "-c", "-o", str(table), sys.executable, str(script)], check=True)
        totals.append(int(re.search(r"(\d+)\s+(?:\d+\s+)?total$", table.read_text()).group(1)))
    with capsys.disabled():
        print(f"\nstrace -c: {totals[0]} calls without gets, {totals[1]} with a million gets")
    # Start and shutdown wait and poll, so the two runs are not equal to the call.
    assert abs(totals[1] - totals[0]) < 1000
