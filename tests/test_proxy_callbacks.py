"""Functions and objects of the caller that are used by the object it calls."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

import coheld
import marks
import proxy_classes as classes
import pytest
from coheld import proxy
from coheld.proxy import ProxyError, ProxyServer

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def shared():
    with ProxyServer(bufsize=200) as server:
        yield server.create_proxy(classes.Service())


def test_a_function_is_called_on_the_thread_that_waits(shared, processes):
    def use():
        lock = threading.RLock()
        seen = []

        def callback(x):
            # Another thread would wait for ever.
            assert lock.acquire(timeout=20)
            lock.release()
            seen.append((os.getpid(), threading.get_ident(), x))
            return x + 1

        with lock:
            assert shared.apply(callback, 41) == 42
        return seen == [(os.getpid(), threading.get_ident(), 41)]

    assert processes.run(FORK, use)


def test_bound_methods_and_iterators_of_the_caller(shared, processes):
    """They pickle, but a copy would go its own way."""

    def use():
        heard, numbers = [], iter([1, 2, 3])
        assert shared.apply(heard.append, 5) is None and heard == [5]
        assert shared.apply(next, numbers) == 1
        assert next(numbers) == 2
        return shared.apply(len, [1, 2])

    assert processes.run(FORK, use) == 2


def test_callbacks_call_back(shared, processes):
    """To and fro, each time on the thread that waits."""

    def use():
        here, there = set(), set()

        def down(depth):
            here.add(threading.get_ident())
            there.add(shared.thread())
            return 0 if depth == 0 else 1 + shared.apply(lambda: down(depth - 1))

        assert down(20) == 20
        return len(here), len(there)

    assert processes.run(FORK, use) == (1, 1)


def test_errors_of_callbacks(shared, processes):
    def use():
        def fail():
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine") as caught:
            shared.apply(fail)
        assert isinstance(caught.value, ProxyError)
        return shared.add(1)

    assert processes.run(FORK, use) == 2


def test_objects_of_the_caller(shared, processes):
    def use():
        mine = classes.Unpicklable(3)
        assert shared.kind_of(mine) == "SharedProxy"
        assert shared.give(mine) is mine
        assert shared.apply(lambda thing: thing is mine, mine)
        shared.kept = mine
        assert shared.kept is mine
        assert shared.echo(mine, key=mine) == ((mine,), {"key": mine})
        return True

    assert processes.run(FORK, use)


def test_the_owner_uses_objects_of_its_callers(processes):
    service = classes.Service()
    with ProxyServer(200) as server:
        shared = server.create_proxy(service)
        mine, theirs = FORK.Pipe()

        def use():
            thing = classes.Unpicklable(3)
            shared.kept = thing
            theirs.send("kept")
            assert theirs.recv() == "used"
            return thing.value

        child = processes.start(FORK, use)
        assert mine.recv() == "kept"
        assert proxy.is_proxy(service.kept) and service.kept.value == 3
        service.kept.value = 4
        mine.send("used")
        assert child.result() == 4
        with pytest.raises(ProxyError):
            service.kept.value


def test_callbacks_from_another_thread(shared, processes):
    """It has nobody who waits for it, so the caller's process has it answered elsewhere."""

    def use():
        return shared.apply_later(lambda x: (os.getpid(), x), 5) == (os.getpid(), 5)

    assert processes.run(FORK, use)


def test_callbacks_through_a_third_process(processes):
    with ProxyServer(200) as server:
        shared = server.create_proxy(classes.Service())
        mine, theirs = FORK.Pipe()

        def middle():
            theirs.send(coheld.share(classes.Service()))
            theirs.recv()
            return True

        child = processes.start(FORK, middle)
        between = mine.recv()

        def use():
            return shared.apply(lambda: between.apply(lambda: shared.add(1))), os.getpid()

        assert processes.run(FORK, use)[0] == 2
        mine.send("end")
        assert child.result()


def test_a_caller_that_dies_in_a_callback(shared, processes):
    def use():
        shared.apply(lambda: os._exit(3))

    child = processes.start(FORK, use)
    child.process.join(30)
    assert child.process.exitcode == 3
    assert processes.run(FORK, lambda: shared.add(1)) == 2


def test_an_owner_that_dies_while_it_is_called_back(processes):
    mine, theirs = FORK.Pipe()

    def serve():
        theirs.send(coheld.share(classes.Service()))
        theirs.recv()

    owner = processes.start(FORK, serve)
    shared = mine.recv()

    def use():
        with pytest.raises(ProxyError) as caught:
            shared.apply(lambda: os.kill(owner.pid, signal.SIGKILL))
        return isinstance(caught.value, coheld.ManagerGone)

    assert processes.run(FORK, use)


def test_ctrl_c_in_a_callback(shared, processes):
    """It is meant for this process, and arrives as what it is."""

    def use():
        def callback():
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("not interrupted")

        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            shared.apply(callback)
        except KeyboardInterrupt:
            return shared.add(1)
        return None

    assert processes.run(FORK, use) == 2


def test_a_child_that_is_forked_in_a_callback(shared, processes):
    """The call belongs to its parent; the child has calls of its own."""

    def use():
        def callback():
            pid = processes.fork(lambda: shared.add(1) == 2)
            return processes.join_fork(pid)

        return shared.apply(callback), shared.add(2)

    assert processes.run(FORK, use) == (0, 3)


def test_a_limit_of_time_holds_for_callbacks(shared, processes):
    """A call that may take a limited time goes to a thread of its own, so it can be left."""

    def use():
        def slow():
            threading.Event().wait(20)

        with pytest.raises(TimeoutError):
            with coheld.call_timeout(0.2):
                shared.apply(slow)
        return shared.add(1)

    assert processes.run(FORK, use) == 2


def test_many_callbacks_from_many_threads(shared, processes):
    def use():
        results = []

        def work(name):
            for number in range(50):
                assert shared.apply(lambda x: (name, x), number) == (name, number)
            results.append(name)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(results)

    assert processes.run(FORK, use) == [*range(8)]


def test_large_callbacks(shared, processes):
    def use():
        large = "x" * 3_000_000
        return shared.apply(lambda text: text + "y", large) == large + "y"

    assert processes.run(FORK, use)
