"""When shared objects, their servers and their proxies end, and what that looks like elsewhere."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import time
import weakref

import coheld
import marks
import proxy_classes as classes
import pytest
import subject
from coheld import ManagerGone, proxy
from coheld.proxy import Proxy, ProxyError, ProxyServer

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def server():
    with ProxyServer(bufsize=200) as started:
        yield started


# The server's life.


def test_it_runs_once():
    server = ProxyServer(100)
    assert not server.running
    with pytest.raises(ProxyError, match="is not running"):
        server.create_proxy(classes.Service())
    server.run()
    assert server.running
    with pytest.raises(AssertionError, match="already running"):
        server.run()
    server.stop()
    server.stop()
    assert not server.running
    server.run()
    assert server.create_proxy(classes.Service()).add(1) == 2
    server.stop()


@pytest.mark.parametrize("size, kind", [(0, ValueError), (-1, ValueError), ("1", TypeError)])
def test_sizes_are_checked(size, kind):
    with pytest.raises(kind):
        ProxyServer(size)


def test_targets_are_checked(server):
    with pytest.raises(AssertionError, match="must not be None"):
        server.create_proxy(None)
    service = classes.Service()
    shared = server.create_proxy(service)
    with pytest.raises(ProxyError, match="already exists"):
        server.create_proxy(service)
    assert [entry[0] for entry in server.proxy_objects.values()] == [service]
    server.remove(shared)
    again = server.create_proxy(service)
    server.remove(service)
    assert not server.proxy_objects
    for removed in (shared, again):
        with pytest.raises(ProxyError, match="not found"):
            removed.add(1)
    with pytest.raises(ProxyError):
        server.remove(service)


def test_a_server_that_stops_is_noticed(server, processes):
    shared = server.create_proxy(classes.Service())
    mine, theirs = FORK.Pipe()

    def use(shared):
        assert shared.add(1) == 2
        theirs.send("ready")
        assert theirs.recv() == "stopped"
        with pytest.raises(ProxyError) as caught:
            shared.add(1)
        return type(caught.value).__mro__[0].__name__

    child = processes.start(FORK, use, shared)
    assert mine.recv() == "ready"
    server.stop()
    mine.send("stopped")
    assert child.result() in ("ManagerGone", "ProxyObjectNotFound")
    with pytest.raises(ProxyError):
        shared.add(1)


def test_removed_objects_are_let_go(server):
    service = classes.Service()
    gone = weakref.ref(service)
    shared = server.create_proxy(service)
    server.remove(service)
    del service, shared

    def is_gone():
        gc.collect()
        return gone() is None

    assert subject.wait_until(is_gone)


def test_targets_are_not_changed(server):
    service = classes.Service()
    before = dict(vars(service))
    server.create_proxy(service)
    server.create_proxy(classes.Quiet)
    assert vars(service) == before
    assert "__del__" not in vars(classes.Quiet)


def test_programs_that_forget_the_server_end():
    printed = subject.run_program(
        """
        import multiprocessing
        from coheld.proxy import ProxyServer

        class Maths:
            def add(self, x, y):
                return x + y

        def child(p):
            print(p.add(1, 2), flush=True)

        server = ProxyServer(bufsize=200)
        server.run()
        proxy = server.create_proxy(Maths())
        process = multiprocessing.get_context("fork").Process(target=child, args=[proxy])
        process.start()
        process.join()
        """
    )
    assert printed == "3\n"


def test_calls_run_on_the_thread_that_runs_the_server(processes):
    """``run(threaded=False)`` keeps the caller, and has it answer."""
    server = ProxyServer(200)
    service = classes.Service()
    ready = threading.Event()

    def ask():
        while not server.running:
            time.sleep(0.001)
        shared = server.create_proxy(service)
        try:
            thread = processes.run(FORK, lambda shared: shared.thread(), shared)
            with pytest.raises(KeyError):
                processes.run(FORK, lambda shared: shared.fail(KeyError), shared)
            found.append(thread)
        finally:
            server.stop()
            ready.set()

    found = []
    asking = threading.Thread(target=ask)
    asking.start()
    server.run(threaded=False)
    asking.join()
    assert found == [threading.get_ident()]
    assert ready.is_set()


# The proxies' lives.


def test_with_closes_for_this_process_only(server, processes):
    shared = server.create_proxy(classes.Service())

    def use(shared):
        with shared as entered:
            assert entered is shared and entered.add(1) == 2
        with pytest.raises(ProxyError, match="closed in this process"):
            shared.add(1)
        with pytest.raises(ProxyError):
            shared.number = 1
        return True

    for _ in range(2):
        assert processes.run(FORK, use, shared)
    assert shared.add(1) == 2


def test_errors_in_the_block_are_not_masked(server):
    shared = server.create_proxy(classes.Service())
    with pytest.raises(KeyError, match="mine"):
        with shared:
            raise KeyError("mine")


def test_close(server):
    shared = coheld.share(classes.Service())
    proxy.close(shared)
    with pytest.raises(ProxyError):
        shared.add(1)
    with pytest.raises(TypeError):
        proxy.close(classes.Service())


def test_the_object_itself_comes_back_to_its_process(server, processes):
    service = classes.Service()
    shared = server.create_proxy(service)
    mine, theirs = FORK.Pipe()
    processes.start(FORK, lambda: theirs.send(theirs.recv()))
    mine.send(shared)
    assert mine.recv() is service


def test_proxies_go_through_queues_and_managers(server, processes):
    shared = server.create_proxy(classes.Service())
    with coheld.Manager() as manager:
        content = manager.dict(service=shared)
        queue = manager.Queue()
        queue.put([shared])

        def use():
            [first] = queue.get()
            return first.add(1), content["service"].add(2), first == content["service"]

        assert processes.run(FORK, use) == (2, 3, True)


# Deaths.


def serve(connection, target):
    server = ProxyServer(200)
    server.run()
    connection.send(server.create_proxy(target))
    connection.recv()


@pytest.fixture
def owner(processes):
    """Starts a process that has an object; returns the process and a proxy."""

    def start(target):
        mine, theirs = FORK.Pipe()
        child = processes.start(FORK, serve, theirs, target)
        return child, mine.recv()

    return start


class Sleeper:
    def __init__(self):
        self.begun = 0

    def sleep(self):
        self.begun += 1
        time.sleep(1000)

    def ready(self):
        return self.begun


def test_an_owner_that_is_killed_is_one_error_at_every_client(owner, processes):
    child, shared = owner(Sleeper())

    def call():
        try:
            shared.sleep()
        except ProxyError as error:
            assert isinstance(error, ManagerGone)
            assert str(child.pid) in str(error)
        else:
            return False
        with pytest.raises(ProxyError):
            shared.ready()
        return True

    clients = [processes.start(FORK, call) for _ in range(5)]
    while shared.ready() < len(clients):
        time.sleep(0.01)
    child.kill()
    assert all(client.result() for client in clients)


def test_a_client_that_is_killed_leaves_no_answer_behind(server, processes):
    class Slow:
        def wait(self, seconds, answer):
            begun.set()
            time.sleep(seconds)
            return answer

    begun = threading.Event()
    shared = server.create_proxy(Slow())
    victim = processes.start(FORK, lambda: shared.wait(0.5, "for the dead"))
    assert begun.wait(30)
    victim.kill()
    assert processes.run(FORK, lambda: [shared.wait(0, number) for number in range(200)]) == [
        *range(200)
    ]


def test_two_servers_of_forked_processes_share_one_inherited_object(processes):
    """The names of Duck's memory come from ids, which are the same in both."""
    service = classes.Service()

    def serve_and_ask():
        server = ProxyServer(200)
        server.run()
        return server.create_proxy(service).count()

    assert [processes.run(FORK, serve_and_ask) for _ in range(2)] == [1, 1]


def test_a_child_does_not_serve_for_its_parent(server, processes):
    shared = server.create_proxy(classes.Service())

    def look():
        assert not server.running
        return shared.process()

    assert processes.run(FORK, look) == os.getpid()
    assert shared.process() == os.getpid()


def test_a_fork_in_the_middle_of_calls(server, processes):
    service = classes.Service()
    shared = server.create_proxy(service)

    def call():
        for number in range(300):
            assert shared.add(number, number) == 2 * number
        return True

    def call_and_fork():
        calling = threading.Thread(target=call)
        calling.start()
        children = [processes.fork(call) for _ in range(4)]
        calling.join()
        return [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4

    assert processes.run(FORK, call_and_fork)


def test_a_stopped_owner_goes_on(owner):
    child, shared = owner(classes.Service())
    os.kill(child.pid, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (child.pid, signal.SIGCONT)).start()
    assert shared.add(1) == 2


# Many at once.


def echo_many(shared, client, count):
    for number in range(count):
        value = (client, number)
        assert shared.give(value) == value
    return count


@pytest.mark.parametrize("clients, count", [(2, 2000), (50, 100)])
def test_replies_are_not_crossed(server, processes, clients, count):
    shared = server.create_proxy(classes.Service())
    children = [
        processes.start(FORK, echo_many, shared, client, count) for client in range(clients)
    ]
    assert sum(child.result(60) for child in children) == clients * count


def test_replies_are_not_crossed_between_threads(server, processes):
    shared = server.create_proxy(classes.Service())

    def run():
        done = []
        threads = [
            threading.Thread(target=lambda name=name: done.append(echo_many(shared, name, 300)))
            for name in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return done

    assert processes.run(FORK, run) == [300] * 8


def test_calls_are_answered_exactly_once(server, processes):
    service = classes.Service()
    shared = server.create_proxy(service)
    busy = [threading.Thread(target=sum, args=(range(3_000_000),)) for _ in range(4)]
    for thread in busy:
        thread.start()
    assert processes.run(FORK, lambda: [shared.count() for _ in range(500)]) == [*range(1, 501)]
    assert service.calls == 500
    for thread in busy:
        thread.join()


def test_one_argument_in_the_owner():
    numbers = Proxy([1, 2, 3])
    assert list(numbers) == [1, 2, 3] and numbers == [1, 2, 3]
