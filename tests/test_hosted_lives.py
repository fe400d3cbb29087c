"""What an interruption, a fork or a death in the middle of a call leaves, and when objects end."""

from __future__ import annotations

import contextlib
import gc
import itertools
import multiprocessing
import os
import pickle
import random
import signal
import threading
import time
import weakref

import hosted_echo
import marks
import pytest
import subject
from subject import managers

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def hosting():
    with hosted_echo.Managers(ctx=FORK) as started:
        yield started


@pytest.fixture
def echo(hosting):
    return hosting.Echo()


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
    assert echo.same([hosted_echo.Reducing(echo), hosted_echo.Reducing(echo)]) == [17, 17]
    # Also when the argument is that of an operation in the segment.
    items = hosting.list([hosted_echo.Reducing(echo)])
    items.append((echo, hosted_echo.Reducing(echo)))
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
    with hosted_echo.Managers(ctx=context) as hosting:
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


# Deaths.


@marks.coheld_only
@pytest.mark.parametrize("seconds", [0, 0.05, 0.5])
def test_the_host_is_killed(seconds):
    import coheld

    hosting = hosted_echo.Managers(ctx=FORK)
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


@marks.coheld_only
def test_a_host_that_is_stopped_for_a_while(hosting, echo):
    process = hosting._process.pid
    assert echo.same(1) == 1
    subject.stop(process)
    try:
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


GATE = threading.Event()


class Reluctant:
    """Does not go before somebody calls another object."""

    def get(self):
        return 1

    def __del__(self):
        GATE.wait()
        hosted_echo.ONE.kept = "gone"


class Opener:
    def open(self):
        GATE.set()

    def kept(self):
        return getattr(hosted_echo.ONE, "kept", None)

    def threads(self):
        return threading.active_count()


class Witness:
    """What is in the frames of a method."""


class Leaving:
    def __init__(self):
        self.witnesses = []

    def leave(self):
        witness = Witness()
        self.witnesses.append(weakref.ref(witness))
        raise KeyboardInterrupt

    def left(self):
        return sum(witness() is not None for witness in self.witnesses)


class Slow(managers.SyncManager):
    pass


Slow.register("Reluctant", Reluctant)
Slow.register("Opener", Opener)
Slow.register("Leaving", Leaving)
Slow.register("Echo", hosted_echo.Echo)


def in_a_new_thread(work):
    """The result of a first call by a thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(10)
    return results[0] if results else "no answer"


@marks.coheld_only
def test_an_object_that_does_not_go_holds_nobody_up():
    """Its `__del__` ran where new callers are accepted: none of them got an answer."""
    with Slow(ctx=FORK) as manager:
        opener, echo = manager.Opener(), manager.Echo()
        first, second = manager.Reluctant(), manager.Reluctant()
        assert first.get() == second.get() == 1
        before = subject.objects_left(manager, 4)
        del first, second
        gc.collect()
        time.sleep(0.3)
        assert in_a_new_thread(echo.process) == echo.process()
        del echo
        assert subject.objects_left(manager, 1) == before - 3
        assert opener.kept() is None
        assert in_a_new_thread(opener.open) is None
        assert subject.wait_until(lambda: opener.kept() == "gone")
        # The threads that were stuck end when they have been idle for some time.
        assert subject.wait_until(lambda: opener.threads() <= 4)


@marks.coheld_only
def test_a_manager_ends_though_objects_do_not_go():
    with Slow(ctx=FORK, shutdown_timeout=20) as manager:
        gone, left = manager.Reluctant(), manager.Reluctant()
        assert gone.get() == left.get() == 1
        del gone
        process, start = manager._process, time.monotonic()
    assert process.exitcode == 0
    assert time.monotonic() - start < 5


@marks.coheld_only
def test_many_objects_go_at_once():
    """One thread drops them all."""
    with Slow(ctx=FORK) as manager:
        opener, objects = manager.Opener(), manager.list()
        for _ in range(10):
            objects.extend([manager.Echo() for _ in range(200)])
        gc.collect()
        threads = opener.threads()
        objects.clear()
        most = 0
        end = time.monotonic() + 10
        while manager._number_of_objects() > 2 and time.monotonic() < end:
            most = max(most, opener.threads())
        assert manager._number_of_objects() == 2
        assert most <= threads + 1


@marks.coheld_only
def test_an_interruption_in_the_host_keeps_nothing():
    """The thread of a caller kept the exception, and with it the frames, until the next call."""
    with Slow(ctx=FORK) as manager:
        leaving = manager.Leaving()

        def leave():
            with pytest.raises(managers.RemoteError, match="KeyboardInterrupt"):
                leaving.leave()
            waiting.wait()

        waiting = threading.Barrier(2)
        thread = threading.Thread(target=leave)
        thread.start()
        waiting.wait()
        assert leaving.left() == 0
        thread.join()


class Here(managers.BaseManager):
    pass


class Lingering(hosted_echo.Echo):
    def linger(self, seconds):
        time.sleep(seconds)
        return self

    def __repr__(self):
        time.sleep(5)
        return "lingering"


Here.register("Echo", hosted_echo.Echo)
Here.register("Lingering", Lingering, method_to_typeid={"linger": "Echo"})


@contextlib.contextmanager
def server_in_a_thread():
    """A manager object for a server that a thread of this process runs."""
    server = Here(authkey=b"key").get_server()
    with subject.serving_in_a_thread(server):
        manager = Here(server.address, b"key")
        manager.connect()
        yield manager


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


@marks.coheld_only
@pytest.mark.parametrize("method", ["sleep", "linger", "__repr__"])
def test_ctrl_c_in_any_call_of_ones_own_process(method):
    """Only that in a method whose result is a plain value was an interruption."""
    with server_in_a_thread() as manager, ring(signal.default_int_handler):
        echo = manager.Lingering()
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            echo._callmethod(method, () if method == "__repr__" else (5,))
        assert echo.same(5) == 5


class Exposed:
    """Names of methods that two threads ask for at the same time."""

    def __init__(self):
        self.barrier = threading.Barrier(2)

    def __iter__(self):
        self.barrier.wait(10)
        return iter(("get",))


@marks.coheld_only
def test_an_object_that_two_threads_publish_is_one():
    server = Here(authkey=b"key").get_server()
    server.open()
    shared, exposed, tokens = object(), Exposed(), []
    try:

        def publish():
            tokens.append(server._host.publish(shared, "Echo", exposed))

        threads = [threading.Thread(target=publish) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        one, other = tokens
        assert one.id == other.id
    finally:
        server._close()
        multiprocessing.current_process()._manager_server = None
