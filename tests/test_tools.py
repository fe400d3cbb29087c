"""`coheld doctor` and `coheld top`, beside programs with stopped, killed and waiting members."""

from __future__ import annotations

import json
import multiprocessing
import os
import pty
import signal
import subprocess
import warnings
from pathlib import Path

import marks
import pytest
import segment_image
import subject
import tool_programs
from rust_server import binary

if not subject.IS_STOCK:
    from coheld import OwnerDiedWarning

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")
CAPACITY = 32 << 20
LONG = 30
#: Python before 3.10 starts programs by a fork, whose child is a member until it is the program;
#: not so if it need not close anything.
WITHOUT_FORK = {"close_fds": False}
LAYOUT = Path(__file__).parent.parent / "docs" / "layout.md"


@pytest.fixture
def small():
    """A manager whose memory can be copied in no time."""
    started = subject.start_manager(capacity=CAPACITY)
    yield started
    started.shutdown()


def environment(manager):
    others = {name: value for name, value in os.environ.items() if name != "COHELD_ADDRESS"}
    return {**others, "COHELD_AUTHKEY": bytes(manager._authkey).hex()}


def run(manager, *arguments):
    """Run the program; its exit code, output and errors."""
    return subprocess.run(
        [binary(), *arguments],
        **WITHOUT_FORK,
        capture_output=True,
        text=True,
        timeout=50,
        env=environment(manager) if manager else {"PATH": os.environ["PATH"]},
    )


def doctor(manager, *arguments):
    """The exit code and the report."""
    done = run(manager, "doctor", "--json", *arguments)
    assert done.stderr == "", done.stderr
    return done.returncode, json.loads(done.stdout)


def kinds(report):
    return sorted({finding["kind"] for finding in report["findings"]})


def finding(report, kind):
    return next(finding for finding in report["findings"] if finding["kind"] == kind)


def start(processes, manager, target, *args):
    """A child that has said that it is ready."""
    ready = manager.Event()
    child = processes.start(FORK, target, *args, ready)
    assert ready.wait(LONG)
    return child


@pytest.fixture
def stopped():
    """Stops processes for a test; they go on in the end, so that they can be ended."""
    pids = []

    def stop_one(pid):
        pids.append(pid)
        subject.stop(pid)

    yield stop_one
    for pid in pids:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


def by_pid(pid, proxy):
    """Arguments that name a process; it may have other segments, too."""
    return ["--pid", str(pid), "--segment", proxy._token.text.split()[1]]


def place_of(proxy):
    return int(proxy._token.text.split()[3], 16)


# A living program.


def test_a_sound_program(manager):
    numbers, texts = manager.list(range(10)), manager.dict(a="a text of some length")
    pids = os.getpid(), manager._process.pid
    for way in ([numbers._token.text], *(by_pid(pid, numbers) for pid in pids)):
        code, report = doctor(manager, *way)
        assert (code, report["findings"]) == (0, []), report
        assert report["is_sound"] is True
        assert report["segment"] == numbers._token.text.split()[1]
        assert f"Layout version: {report['layout_version']}." in LAYOUT.read_text()
        assert {member["pid"] for member in report["members"]} == set(pids)
        assert report["referents"]["list"]["count"] == 1
        assert report["referents"]["list"]["items"] == 10
        assert report["referents"]["dict"]["items"] == 1
        assert report["referents"]["dict"]["bytes"] > 256
    done = run(manager, "doctor", texts._token.text)
    assert done.returncode == 0
    assert "sound: nothing was wrong" in done.stdout
    assert f"pid {os.getpid()}" in done.stdout


def test_by_address(manager):
    numbers = manager.list()
    code, report = doctor(manager, "--address", f"unix:{manager.address}")
    assert code == 0
    assert report["segment"] == numbers._token.text.split()[1]
    assert report["source"].startswith("the manager at")


def test_a_program_that_never_rests_is_sound(manager, processes):
    numbers, texts, queue = manager.list(), manager.dict(), manager.Queue()
    for _ in range(2):
        start(processes, manager, tool_programs.change_for_ever, numbers, texts, queue)
    for _ in range(4):
        code, report = doctor(manager, numbers._token.text)
        assert (code, report["findings"]) == (0, [])


def test_a_stopped_owner_and_who_waits_for_it(manager, processes, stopped):
    lock = manager.Lock()
    owner = start(processes, manager, tool_programs.acquire_and_stay, lock)
    waiter = start(processes, manager, tool_programs.acquire, lock)
    stopped(owner.pid)
    assert subject.wait_until(lambda: top(manager, lock._token.text)["waits"] != [], LONG)
    picture = top(manager, lock._token.text)
    waits = [wait for wait in picture["waits"] if wait["held_by"]]
    assert [(wait["pid"], wait["held_by"], wait["for"]) for wait in waits] == [
        (waiter.pid, owner.pid, "the lock")
    ]
    states = {member["pid"]: member["state"] for member in picture["members"]}
    assert states[owner.pid] == "stopped"
    code, report = doctor(manager, lock._token.text)
    assert (code, kinds(report)) == (1, ["lock-of-the-stopped"])
    found = finding(report, "lock-of-the-stopped")
    assert (found["pid"], found["waiting"], found["inner"]) == (owner.pid, 1, False)
    assert found["can_be_mended"] is False
    # A stopped process goes on one day: nothing of it is taken away.
    code, report = doctor(manager, lock._token.text, "--mend")
    assert (code, report["mended"]["locks"]) == (1, 0)
    os.kill(owner.pid, signal.SIGCONT)
    owner.kill()
    with pytest.raises(OwnerDiedWarning):
        waiter.result()


# Without the manager.


def test_the_manager_is_killed(manager, processes):
    numbers = manager.list([1, 2, 3])
    member = start(processes, manager, tool_programs.stay)
    killed = manager._process.pid
    os.kill(killed, signal.SIGKILL)
    manager._process.join()
    for way in ([numbers._token.text], by_pid(member.pid, numbers)):
        code, report = doctor(manager, *way)
        assert (code, kinds(report)) == (1, ["dead-member"]), report
        assert report["source"].startswith("process ")
        assert finding(report, "dead-member")["pid"] == killed
        picture = top(manager, *way)
        assert len(picture["members"]) == 3
    code, report = doctor(manager, numbers._token.text, "--mend")
    assert (code, report["findings"]) == (0, [])
    assert report["mended"]["members"] == 1
    assert [gone["kind"] for gone in report["mended"]["gone"]] == ["dead-member"]
    # The doctor was a member for a moment, and has left no slot behind.
    assert {one["pid"] for one in report["members"]} == {os.getpid(), member.pid}
    assert numbers[:] == [1, 2, 3]
    numbers.append(4)


def test_the_manager_is_stopped(manager, processes, stopped):
    lock, numbers = manager.Lock(), manager.list([7])
    owner = start(processes, manager, tool_programs.acquire_and_stay, lock)
    stopped(manager._process.pid)
    owner.kill()
    code, report = doctor(manager, numbers._token.text)
    assert (code, kinds(report)) == (1, ["dead-member", "lock-of-the-dead"]), report
    assert finding(report, "lock-of-the-dead")["pid"] == owner.pid
    done = run(manager, "doctor", *by_pid(os.getpid(), numbers))
    assert done.returncode == 1
    assert f"pid {owner.pid}" in done.stdout
    assert "(mend)" in done.stdout
    code, report = doctor(manager, numbers._token.text, "--mend")
    assert (code, report["findings"]) == (0, [])
    assert (report["mended"]["members"], report["mended"]["locks"]) == (1, 1)
    # The next owner is told all the same.
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert lock.acquire(False)
    assert [str(owner.pid) in str(warning.message) for warning in told] == [True]
    lock.release()
    assert numbers[:] == [7]


def test_nobody_has_it_any_more():
    manager = subject.start_manager()
    numbers = manager.list()
    token = numbers._token.text
    manager.shutdown()
    done = run(manager, "doctor", token.replace(token.split()[1], "0" * 32))
    assert done.returncode == 3, done
    assert "hint:" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", ["doctor", "top"])
@pytest.mark.parametrize(
    "arguments, code, error",
    [
        ([], 2, "--pid PID"),
        (["coheld1 nonsense"], 2, "hexadecimal"),
        (["nonsense"], 2, "HOST:PORT"),
        (["unix:/nowhere"], 2, "--pid PID"),
        (["--pid", "1073741823"], 3, "process of yours"),
        (["--pid", str(os.getppid()), "--segment", "0" * 32], 3, "no segment"),
    ],
)
def test_wrong_command_lines(command, arguments, code, error):
    done = run(None, command, *arguments)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert error in done.stderr


# Damage, on a copy.


class Held:
    """An image that a process has open which is no member."""

    def __init__(self, content):
        self.image = segment_image.Image(content)
        os.set_inheritable(self.image.descriptor, True)
        # A fresh process: this one has the segment itself open, under the same id.
        self.process = subprocess.Popen(
            ["sleep", "3600"], pass_fds=[self.image.descriptor], stdin=subprocess.DEVNULL
        )

    def doctor(self, *arguments):
        return doctor(None, "--pid", str(self.process.pid), *arguments)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.image.close()


@pytest.fixture
def copied(small):
    """Makes copies of the memory of `small`."""
    made = []

    def make(proxy):
        made.append(Held(segment_image.read(proxy._token.text.split()[1])))
        return made[-1]

    yield make
    for held in made:
        held.close()


def test_a_copy_is_sound_but_for_its_dead(small, copied):
    numbers = small.list(["a text of some length"])
    code, report = copied(numbers).doctor()
    assert (code, kinds(report)) == (1, ["dead-member"])


def test_a_leak(small, copied):
    numbers = small.list(["a text of some length"])
    held = copied(numbers)
    leaked = held.image.leak()
    code, report = held.doctor()
    assert (code, kinds(report)) == (1, ["dead-member", "leaked"])
    assert finding(report, "leaked")["place"] == leaked
    assert f"{leaked:#x}" in finding(report, "leaked")["text"]
    # That is for people to look at.
    code, report = held.doctor("--mend")
    assert (code, kinds(report)) == (1, ["leaked"])


def test_a_broken_invariant(small, copied):
    texts = small.dict(a=1, b=2)
    held = copied(texts)
    counted = held.image.block_of(place_of(texts)) + 16 + 8
    assert held.image.get(counted) == 2
    held.image.put(counted, 1)
    code, report = held.doctor()
    assert (code, kinds(report)) == (1, ["broken", "dead-member"])
    assert "another number of entries" in finding(report, "broken")["text"]


def test_a_block_with_two_owners(small, copied):
    one, other = small.list(["a text of some length"]), small.list(["another text, as long"])
    held = copied(one)
    blocks = [held.image.block_of(place_of(proxy)) + 16 for proxy in (one, other)]
    # The window of a list begins somewhere in its block.
    cells = [block + 8 * (held.image.get(block - 8) & 0xFFFF_FFFF) for block in blocks]
    held.image.put(cells[1], held.image.get(cells[0]))
    code, report = held.doctor()
    assert code == 1
    assert {"owned-twice", "leaked"} <= set(kinds(report))


def test_a_lease_that_has_run_out(small, copied):
    numbers = small.list([1])
    held = copied(numbers)
    held.image.put(place_of(numbers) + 0x30, 2 | 1 << 24)
    code, report = held.doctor()
    assert (code, kinds(report)) == (1, ["dead-member", "lease-run-out"])
    assert finding(report, "lease-run-out")["leases"] == 2
    code, report = held.doctor("--mend")
    assert (code, report["findings"]) == (0, [])
    assert (report["mended"]["members"], report["mended"]["leases"]) == (2, 1)
    # With the last lease and the last holder the list has gone.
    assert "list" not in report["referents"]


def test_a_host_that_is_gone(small, copied):
    shared = small.dict({("a", "key"): 1})
    shared[frozenset([1])] = 2
    code, report = copied(shared).doctor()
    assert (code, kinds(report)) == (1, ["dead-member", "host-gone"])
    assert finding(report, "host-gone")["objects"] >= 1


def test_an_inner_lock_of_a_stopped_process_stops_nobody(small, copied, processes, stopped):
    numbers = small.list([1])
    held = copied(numbers)
    image = held.image
    ours, theirs = FORK.Pipe()
    path = f"/proc/{held.process.pid}/fd/{image.descriptor}"
    child = processes.start(FORK, tool_programs.pretend_to_be_a_member, theirs, path, 0)
    pid, start_time, namespace = ours.recv()
    slot = next(
        slot
        for slot in range(4)
        if image.get(image.member(slot)) & 0xFF == 1
        and image.get(image.member(slot) + 8) & 0xFFFF_FFFF != os.getpid()
    )
    image.put(image.member(slot) + 8, pid)
    image.put(image.member(slot) + 16, start_time)
    image.put(image.member(slot) + 24, namespace)
    lock = place_of(numbers)
    image.put(lock, image.tag(slot))
    code, report = held.doctor()
    # A process that runs may have any lock.
    assert (code, kinds(report)) == (1, ["dead-member"])
    stopped(child.pid)
    code, report = held.doctor()
    assert (code, kinds(report)) == (1, ["dead-member", "lock-of-the-stopped"])
    found = finding(report, "lock-of-the-stopped")
    assert (found["pid"], found["inner"]) == (pid, True)
    # The dead member's hold on the list cannot be ended without that lock.
    code, report = held.doctor("--mend")
    assert code == 1
    assert report["mended"]["is_complete"] is False
    assert "lock-of-the-stopped" in kinds(report)
    picture = top(None, "--pid", str(held.process.pid))
    assert any(
        lock["last_owner"] == pid and lock["held_in_samples"] == picture["estimated"]["samples"]
        for lock in picture["estimated"]["inner_locks"]
    )
    child.kill()


# Nothing is changed.


def test_a_sound_segment_stays_as_it_is(small, stopped):
    numbers, texts = small.list(["a text of some length"] * 10), small.dict(a=1)
    queue = small.Queue()
    queue.put(numbers)
    # Making a token takes a lease.
    token = texts._token.text
    segment_id = token.split()[1]
    stopped(small._process.pid)
    before = segment_image.read(segment_id)
    pages = os.fstat(segment_image.descriptor_of(segment_id)).st_blocks
    code, report = doctor(small, token)
    assert (code, report["findings"]) == (0, [])
    top(small, token)
    way = ["--pid", str(os.getpid()), "--segment", segment_id]
    assert run(small, "top", "--once", "--interval", "0.1", *way).returncode == 0
    assert segment_image.read(segment_id) == before
    assert os.fstat(segment_image.descriptor_of(segment_id)).st_blocks == pages
    # Mending a sound segment takes a slot and gives it back; what it was used for stays the same.
    code, report = doctor(small, token, "--mend")
    assert (code, report["findings"]) == (0, [])
    done = {**report["mended"], "gone": len(report["mended"]["gone"])}
    assert done == {"members": 0, "locks": 0, "leases": 0, "is_complete": True, "gone": 0}
    assert len(report["members"]) == 2


# The other tool.


def top(manager, *arguments):
    """One picture."""
    done = run(manager, "top", "--json", "--once", "--interval", "0.2", *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def test_a_picture(manager, processes):
    numbers, texts, queue = manager.list(), manager.dict(a=[1]), manager.Queue()
    busy = start(processes, manager, tool_programs.change_for_ever, numbers, texts, queue)
    picture = top(manager, numbers._token.text)
    assert picture["measured"]["changes_per_second"] > 0
    assert {member["pid"] for member in picture["members"]} >= {busy.pid, os.getpid()}
    busiest = picture["referents"][0]
    assert busiest["changes_per_second"] > 0
    assert busiest["kind"] in ("list", "dict", "Queue")
    of_list = next(it for it in picture["referents"] if it["offset"] == place_of(numbers))
    assert of_list["holders"] == 2
    assert of_list["bytes"] >= 256


def test_calls_are_counted(manager):
    shared = manager.dict({frozenset([1]): 2})
    program = start_top(manager, shared._token.text, "--json", "--interval", "0.2")
    calls = 0
    try:
        for _ in range(20):
            for _ in range(50):
                len(shared)
            picture = json.loads(program.stdout.readline())
            calls = max(calls, picture["measured"]["calls_per_second"])
            if calls:
                break
    finally:
        end(program)
    assert calls > 0


def start_top(manager, *arguments, output=subprocess.PIPE):
    return subprocess.Popen(
        [binary(), "top", *arguments],
        **WITHOUT_FORK,
        stdout=output,
        stderr=subprocess.PIPE,
        env=environment(manager),
    )


def end(program):
    program.kill()
    program.communicate()


def test_pictures_follow_each_other_without_a_terminal(manager):
    numbers = manager.list([1])
    program = start_top(manager, numbers._token.text, "--interval", "0.1")
    try:
        seen = b""
        while seen.count(b"REFERENT") < 3:
            line = program.stdout.readline()
            assert line, program.stderr.read()
            seen += line
        assert b"\x1b" not in seen
        assert b"not seen: reads" in seen
        program.send_signal(signal.SIGINT)
        assert program.wait(LONG) == 0
    finally:
        end(program)


def test_who_stops_reading_ends_it(manager):
    numbers = manager.list()
    program = start_top(manager, numbers._token.text, "--json", "--interval", "0.1")
    try:
        assert program.stdout.readline()
        program.stdout.close()
        assert program.wait(LONG) == 0
    finally:
        program.kill()
        program.wait()
        program.stderr.close()


def test_the_terminal_is_as_it_was(manager):
    numbers = manager.list()
    ours, theirs = pty.openpty()
    program = start_top(manager, numbers._token.text, "--interval", "0.1", output=theirs)
    os.close(theirs)
    seen = b""
    try:
        while b"REFERENT" not in seen:
            seen += os.read(ours, 4096)
        assert seen.startswith(b"\x1b[?1049h\x1b[?25l")
        program.send_signal(signal.SIGINT)
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                # The other end is closed.
                break
            if not part:
                break
            seen += part
        assert program.wait(LONG) == 0
        assert seen.endswith(b"\x1b[?25h\x1b[?1049l")
    finally:
        end(program)
        os.close(ours)


def test_nobody_is_a_member_of_a_copy(small, copied):
    numbers = small.list()
    held = copied(numbers)
    done = run(None, "top", "--json", "--interval", "0.1", "--pid", str(held.process.pid))
    # All members are dead: one picture, and the end.
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert "no process works" in done.stderr
