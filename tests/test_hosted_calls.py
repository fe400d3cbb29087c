"""Calls of objects that live in the manager process: what goes there, what comes back, and what an
interruption, a fork or a death in the middle leaves.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import math
import multiprocessing
import os
import pickle
import random
import signal
import sys
import threading
import time

import marks
import pytest
import subject
from subject import managers

FORK = multiprocessing.get_context("fork")


class Echo:
    """An object of the manager process that tells what it was given, and where it is."""

    def __init__(self):
        self.kept = None
        self.calls = 0

    def same(self, value):
        return value

    def both(self, *args, **kwds):
        return args, kwds

    def describe(self, *args):
        return [(type(arg).__name__, repr(arg)[:80]) for arg in args]

    def length(self, value):
        return len(value)

    def make(self, size):
        return b"x" * size

    def sleep(self, seconds, value=None):
        time.sleep(seconds)
        return value

    def count(self):
        self.calls += 1
        return self.calls

    def process(self):
        return os.getpid()

    def thread(self):
        return threading.get_ident()

    def thread_is_known(self):
        return threading.current_thread() in threading.enumerate()

    def local(self, value=None):
        if value is not None:
            LOCAL.value = value
        return getattr(LOCAL, "value", None)

    def keep(self, proxy):
        self.kept = proxy

    def call_kept(self, method, *args):
        return getattr(self.kept, method)(*args)

    def append(self, items):
        items.append("changed by the method")
        return items

    def leave(self, code):
        sys.exit(code)

    def raise_kind(self, kind, *args):
        raise kind(*args)


LOCAL = threading.local()
ONE = Echo()


class Loud:
    """Calls a proxy when it is dropped, wherever that is."""

    def __init__(self, proxy, number):
        self.proxy, self.number = proxy, number

    def get(self):
        return self.number

    def __del__(self):
        self.proxy.append(self.number)


class Reducing:
    """Calls an object while it is being pickled, as a reducer may."""

    def __init__(self, proxy):
        self.proxy = proxy

    def __reduce__(self):
        return int, (self.proxy.same(17),)


class NeedsTwo(Exception):
    """Pickles, but cannot be made again from what it pickles."""

    def __init__(self, first, second):
        super().__init__(first)


class Refusing:
    def __reduce__(self):
        raise RuntimeError("this is not for others")


def get_one():
    return ONE


class Managers(managers.SyncManager):
    pass


Managers.register("Echo", Echo)
Managers.register("One", get_one)
Managers.register("Loud", Loud)


@pytest.fixture
def hosting():
    with Managers(ctx=FORK) as started:
        yield started


@pytest.fixture
def echo(hosting):
    return hosting.Echo()


# Values.

VALUES = [
    None,
    True,
    False,
    *(sign * number for number in (0, 1, 255, 256, 65_535, 65_536) for sign in (1, -1)),
    *((1 << bits) - one for bits in (31, 32, 63, 64, 200) for one in (0, 1)),
    *(-(1 << bits) - one for bits in (31, 32, 63, 64, 200) for one in (0, 1)),
    0.5,
    -0.0,
    math.inf,
    "",
    "text",
    "\0\x7f\x80\u07ff\u0800\uffff\U0010ffff",
    "a lone surrogate \udc80",
    "x" * 255,
    "x" * 256,
    "\xe4" * 70_000,
    b"",
    bytes(range(256)),
    b"x" * 255,
    b"x" * 70_000,
    (),
    (1,),
    (1, "two"),
    (1, 2.5, b"3"),
    (1, 2, 3, 4),
    ((), ((), ((1,), 2)), "x"),
    tuple(range(1000)),
    [1, [2, (3, [4])]],
    {"key": {1: (2,)}},
    {1, 2},
    frozenset((1,)),
    bytearray(b"bytes"),
    range(7),
    1j,
    ValueError("an exception", 7),
]


def nested(depth):
    value = ()
    for _ in range(depth):
        value = (value,)
    return value


@pytest.mark.parametrize("value", [*VALUES, nested(15), nested(16), nested(17), nested(100)])
def test_values_come_back_as_they_went(echo, value):
    back = echo.same(value)
    assert type(back) is type(value)
    if isinstance(value, Exception):
        assert back.args == value.args
    else:
        assert back == value and repr(back) == repr(value)
    (inside,), kwds = echo.both(value)
    assert type(inside) is type(value) and kwds == {}


def test_not_a_number(echo):
    assert math.isnan(echo.same(math.nan))


def test_values_arrive_as_what_they_are(echo):
    values = [True, 1, 1.0, "1", b"1", (1,), [1], {1: 1}]
    assert echo.describe(*values) == [(type(value).__name__, repr(value)) for value in values]


class Number(int):
    """A subclass of int, which must not become one."""


class Text(str):
    pass


class Pair(tuple):
    pass


def test_subclasses_stay_what_they_are(echo):
    for value in (Number(5), Text("text"), Pair((1, 2)), (Number(6),)):
        back = echo.same(value)
        assert type(back) is type(value) and back == value
    assert type(echo.same((Number(6),))[0]) is Number


def test_arguments_with_names(echo):
    assert echo.both() == ((), {})
    assert echo.both(1, "2", three=3, four=[4]) == ((1, "2"), {"three": 3, "four": [4]})
    assert echo._callmethod("both", [1, 2], {"x": 3}) == ((1, 2), {"x": 3})
    assert echo._callmethod("both") == ((), {})


def test_arguments_and_results_are_copies(echo):
    items = ["mine"]
    assert echo.append(items) == ["mine", "changed by the method"]
    assert items == ["mine"]


def test_large_messages(echo):
    for size in (100, 4_000, 100_000, 30_000_000):
        assert echo.length(b"x" * size) == size
        assert len(echo.make(size)) == size
        assert echo.same("y" * size) == "y" * size
        assert echo.same(5) == 5


@marks.coheld_only
def test_no_memory_is_left_behind(hosting, echo):
    for size in (50_000, 3_000_000):
        echo.same(b"x" * size)
        before = hosting._statistics()
        for _ in range(20):
            echo.same(b"x" * size)
        assert hosting._statistics()["blocks"] <= before["blocks"]


@marks.coheld_only
def test_messages_without_room_for_them():
    with Managers(ctx=FORK, capacity=64 << 20) as hosting:
        echo = hosting.Echo()
        with pytest.raises(MemoryError):
            echo.length(b"x" * (100 << 20))
        assert echo.same(5) == 5
        # A reply that does not fit is the caller's to know of.
        with pytest.raises((MemoryError, managers.RemoteError)):
            echo.make(100 << 20)
        assert echo.same(5) == 5


def test_proxies_in_arguments_and_results(hosting, echo):
    items = hosting.list([1])
    back = echo.same([items, {"deep": (echo, items)}])
    back[0].append(2)
    assert list(items) == list(back[1]["deep"][1]) == [1, 2]
    assert back[1]["deep"][0].process() == echo.process() != os.getpid()


# Errors.


def test_arguments_that_cannot_be_pickled_are_not_sent(echo):
    assert echo.count() == 1
    with pytest.raises(RuntimeError, match="^this is not for others$"):
        echo.count(Refusing())
    with pytest.raises(RuntimeError, match="^this is not for others$"):
        echo.same([1, (Refusing(),)])
    assert echo.count() == 2


@marks.coheld_only
def test_exceptions_that_cannot_be_made_again(echo):
    with pytest.raises(managers.RemoteError) as caught:
        echo.raise_kind(NeedsTwo, "one", "two")
    assert "in raise_kind" in str(caught.value) and "NeedsTwo: one" in str(caught.value)
    assert echo.same(1) == 1


@marks.coheld_only
def test_the_end_of_a_thread_is_not_that_of_its_channel(echo):
    """Stock's thread ends by it, and every later call of the client's thread fails."""
    thread = echo.thread()
    for kind in (SystemExit, KeyboardInterrupt, GeneratorExit):
        with pytest.raises(managers.RemoteError, match=kind.__name__):
            echo.raise_kind(kind)
    with pytest.raises(managers.RemoteError, match="SystemExit: 3"):
        echo.leave(3)
    assert echo.thread() == thread


# Threads.


def test_each_thread_has_a_thread(echo):
    """What a method keeps for its thread is there again in the next call of the same thread."""
    found = {}
    done = threading.Barrier(5)

    def work(number):
        echo.local(f"value {number}")
        done.wait(30)
        threads = {echo.thread() for _ in range(50)}
        found[number] = (threads, echo.local(), echo.thread_is_known())
        done.wait(30)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    done.wait(30)
    done.wait(30)
    for thread in threads:
        thread.join()
    used = [found[number][0] for number in range(4)]
    assert [len(one) for one in used] == [1] * 4 and len(set.union(*used)) == 4
    assert [found[number][1:] for number in range(4)] == [
        (f"value {number}", True) for number in range(4)
    ]


def test_many_threads_get_their_own_answers(echo):
    problems = []

    def work(number):
        generator = random.Random(number)
        for step in range(150):
            value = (number, step, "x" * generator.choice((1, 50, 3_000, 40_000)))
            if echo.same(value) != value:
                problems.append(value[:2])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []


def test_calls_of_one_object_overlap(echo):
    start = time.monotonic()
    threads = [threading.Thread(target=echo.sleep, args=(0.5,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - start < 2


def test_other_threads_run_while_one_waits(echo):
    steps = []
    waiting = threading.Thread(target=echo.sleep, args=(0.5,))
    waiting.start()
    while waiting.is_alive():
        steps.append(None)
        time.sleep(0.01)
    assert len(steps) > 10


# Interruptions.


class Interrupted(Exception):
    """Raised by the alarm."""


@contextlib.contextmanager
def ring(handler):
    before = signal.signal(signal.SIGALRM, handler)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def interrupt(_number, _frame):
    raise Interrupted


@marks.coheld_only
def test_interrupted_calls_take_no_answer_with_them(echo):
    """Stock's next call would get the answer of the interrupted one, and so on for ever."""
    with ring(interrupt):
        for attempt in range(150):
            interrupted = False
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.000_02, 0.003))
                for number in range(100):
                    assert echo.sleep(0.000_1, (attempt, number)) == (attempt, number)
            except Interrupted:
                interrupted = True
            finally:
                with contextlib.suppress(Interrupted):
                    signal.setitimer(signal.ITIMER_REAL, 0)
            assert interrupted
            for number in range(3):
                assert echo.same(number) == number


@marks.coheld_only
def test_a_long_call_is_interrupted_soon(echo):
    with ring(interrupt):
        start = time.monotonic()
        with pytest.raises(Interrupted):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            echo.sleep(5)
        assert time.monotonic() - start < 2
        assert echo.same("next") == "next"


def test_signal_handlers_that_return_are_run_meanwhile(echo):
    rung = []
    with ring(lambda _number, _frame: rung.append(time.monotonic())):
        start = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        assert echo.sleep(0.8, "the answer") == "the answer"
        assert rung and rung[0] - start < 0.6


@marks.coheld_only
def test_calls_inside_of_a_call(echo):
    """A signal handler that calls the same object while its thread waits for an answer."""
    numbers, answers = itertools.count(), []

    def call_too(_signal, _frame):
        # It may be interrupted by itself.
        number = next(numbers)
        answers.append((number, echo.same(number)))

    with ring(call_too):
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        assert echo.sleep(0.6, "outer") == "outer"
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert answers and all(number == answer for number, answer in answers)


def test_calls_while_an_argument_is_pickled(hosting, echo):
    assert echo.same([Reducing(echo), Reducing(echo)]) == [17, 17]
    # Also when the argument is that of an operation in the segment.
    items = hosting.list([Reducing(echo)])
    items.append((echo, Reducing(echo)))
    assert items[0] == 17 and items[1][1] == 17 and items[1][0].same(5) == 5


def test_calls_back_into_the_manager(hosting, echo):
    """The method runs in the process that has the object it calls."""
    other = hosting.Echo()
    echo.keep(other)
    assert echo.call_kept("process") == other.process() == echo.process()
    assert echo.call_kept("append", ["x"]) == ["x", "changed by the method"]
    with pytest.raises(ValueError, match="^far away$"):
        echo.call_kept("raise_kind", ValueError, "far away")
    other.keep(echo)
    assert echo.call_kept("call_kept", "same", 5) == 5
    echo.keep(None)


# Processes.


def call_often(echo, number):
    for step in range(200):
        assert echo.same((number, step)) == (number, step)
    return echo.process()


def test_calls_in_processes(context, processes):
    with Managers(ctx=context) as hosting:
        echo = hosting.Echo()
        children = [processes.start(context, call_often, echo, number) for number in range(3)]
        here = call_often(echo, 99)
        assert {child.result() for child in children} == {here}


@marks.coheld_only
def test_calls_after_a_bare_fork(echo, processes):
    for number in range(10):
        assert echo.same(number) == number
        pid = processes.fork(call_often, echo, number)
        assert call_often(echo, -number) == echo.process()
        assert processes.join_fork(pid) == 0


@marks.coheld_only
def test_forks_while_other_threads_call(echo, processes):
    stop = threading.Event()
    problems = []

    def work(number):
        step = 0
        while not stop.is_set():
            step += 1
            if echo.same((number, step)) != (number, step):
                problems.append((number, step))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(20):
            pid = processes.fork(call_often, echo, 1000 + number)
            assert processes.join_fork(pid) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert problems == []


# Time limits.


@marks.coheld_only
def test_a_call_that_takes_too_long(echo):
    import coheld

    start = time.monotonic()
    with pytest.raises(TimeoutError, match="^'sleep' did not return within 0.2 s") as caught:
        echo._callmethod("sleep", (1, "late"), timeout=0.2)
    assert isinstance(caught.value, coheld.CoheldError)
    assert time.monotonic() - start < 0.8
    # The answer that comes late is nobody's.
    for number in range(100):
        assert echo.same(number) == number
    assert echo._callmethod("sleep", (0.1, "fine"), timeout=30) == "fine"
    assert echo._callmethod("sleep", (0.1, "fine"), timeout=math.inf) == "fine"
    assert echo._callmethod("sleep", (0.1, "fine"), timeout=None) == "fine"
    for nonsense in (-1, math.nan):
        with pytest.raises(ValueError, match="a call cannot have"):
            echo._callmethod("same", (1,), timeout=nonsense)
    with pytest.raises(TypeError):
        echo._callmethod("same", (1,), timeout="5")


@marks.coheld_only
def test_the_limit_of_a_thread(echo):
    from coheld import _coheld

    assert _coheld.call_limit(0.2) is None
    try:
        with pytest.raises(TimeoutError):
            echo.sleep(1)
        assert echo._callmethod("sleep", (0.4, "given more time"), timeout=5) == "given more time"
        seen = []
        other = threading.Thread(target=lambda: seen.append(echo.sleep(0.4, "another thread")))
        other.start()
        other.join()
        assert seen == ["another thread"]
    finally:
        assert _coheld.call_limit(None) == 0.2
    assert echo.sleep(0.4, "no limit") == "no limit"


# Deaths.


@marks.coheld_only
@pytest.mark.parametrize("seconds", [0, 0.05, 0.5])
def test_the_host_is_killed(seconds):
    import coheld

    hosting = Managers(ctx=FORK)
    hosting.start()
    echo, items = hosting.Echo(), hosting.list([1])
    killer = threading.Timer(seconds, hosting._process.kill)
    assert echo.same(1) == 1
    killer.start()
    start = time.monotonic()
    with pytest.raises(coheld.ManagerGone) as caught:
        echo.sleep(30)
    assert time.monotonic() - start < seconds + 2
    assert isinstance(
        caught.value, (BrokenPipeError, ConnectionRefusedError, ConnectionResetError, EOFError)
    )
    for kind in (BrokenPipeError, ConnectionRefusedError, ConnectionResetError, EOFError):
        with pytest.raises(kind, match="'same'"):
            echo.same(2)
    assert str(echo).endswith("; '__str__()' failed>")
    # What is in the segment goes on.
    items.append(2)
    assert list(items) == [1, 2]
    with contextlib.suppress(OSError, EOFError):
        hosting.shutdown()


def state_of(process: int) -> str:
    with open(f"/proc/{process}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


@marks.coheld_only
def test_a_host_that_is_stopped_for_a_while(hosting, echo):
    process = hosting._process.pid
    assert echo.same(1) == 1
    os.kill(process, signal.SIGSTOP)
    try:
        assert subject.wait_until(lambda: state_of(process) == "T")
        with pytest.raises(TimeoutError):
            echo._callmethod("same", (2,), timeout=0.3)
    finally:
        os.kill(process, signal.SIGCONT)
    assert [echo.same(number) for number in range(5)] == list(range(5))


def call_and_wait(echo, ready):
    ready.set()
    echo.sleep(60)


@marks.coheld_only
def test_a_client_is_killed_in_a_call(hosting, echo, processes):
    """Its worker finishes what it does; nobody else notices."""
    for _ in range(5):
        ready = FORK.Event()
        child = processes.start(FORK, call_and_wait, echo, ready)
        assert ready.wait(20)
        child.kill()
        assert echo.same(5) == 5


# The objects.


def test_one_object_has_one_referent(hosting):
    first, second = hosting.One(), hosting.One()
    assert first._id == second._id and first._token.id == second._token.id
    first.keep("something")
    assert second._callmethod("both", (1,)) == ((1,), {})
    del first, second
    gc.collect()
    assert subject.objects_left(hosting) == 0
    # The object is still there, as the module's; its referent is a new one.
    assert hosting.One().process() == hosting._process.pid


def test_objects_end_with_their_last_proxy(hosting):
    ended = hosting.list()
    proxies = [hosting.Loud(ended, number) for number in range(5)]
    copies = pickle.loads(pickle.dumps(proxies[:2]))
    del proxies
    gc.collect()
    assert subject.wait_until(lambda: sorted(ended) == [2, 3, 4])
    assert [copy.get() for copy in copies] == [0, 1]
    del copies
    gc.collect()
    assert subject.wait_until(lambda: sorted(ended) == [0, 1, 2, 3, 4])
    assert subject.objects_left(hosting, 1) == 1


@marks.coheld_only
def test_objects_of_a_killed_process_end(hosting, echo, processes):
    ended = hosting.list()
    ready = FORK.Event()
    child = processes.start(FORK, hold_and_wait, hosting, ended, ready)
    assert ready.wait(20)
    assert list(ended) == []
    child.kill()
    assert subject.wait_until(lambda: list(ended) == [7])


def hold_and_wait(hosting, ended, ready):
    held = hosting.Loud(ended, 7)
    ready.set()
    time.sleep(60)
    return held


@marks.coheld_only
def test_tokens_and_leases(hosting, echo):
    """A proxy that is on its way keeps the object, and so does the token of a new one."""
    ended = hosting.list()
    packed = pickle.dumps(hosting.Loud(ended, 1))
    gc.collect()
    time.sleep(0.5)
    assert list(ended) == []
    assert pickle.loads(packed).get() == 1
    gc.collect()
    assert subject.wait_until(lambda: list(ended) == [1])


class Here(managers.BaseManager):
    pass


Here.register("Echo", Echo)


@contextlib.contextmanager
def server_in_a_thread():
    """A manager object for a server that a thread of this process runs."""
    server = Here(authkey=b"key").get_server()

    def serve():
        with contextlib.suppress(SystemExit):
            server.serve_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    manager = Here(server.address, b"key")
    try:
        manager.connect()
        yield manager
    finally:
        server.stop_event.set()
        thread.join(10)
        multiprocessing.current_process()._manager_server = None


def test_objects_of_ones_own_process_are_called_by_value():
    with server_in_a_thread() as manager:
        echo = manager.Echo()
        items = ["mine"]
        assert echo.append(items) == ["mine", "changed by the method"] and items == ["mine"]
        assert echo.process() == os.getpid()
        with pytest.raises(ValueError, match="^here$") as caught:
            echo.raise_kind(ValueError, "here")
        if not subject.IS_STOCK:
            assert "in raise_kind" in str(caught.value.__cause__)


def test_ctrl_c_in_an_object_of_ones_own_process():
    with server_in_a_thread() as manager, ring(signal.default_int_handler):
        echo = manager.Echo()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            echo.sleep(5)
        assert time.monotonic() - start < 2
        if not subject.IS_STOCK:
            assert echo.same(5) == 5
