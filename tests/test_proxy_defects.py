"""What Duck's proxies do wrong, one test for each defect; the numbers are those of the survey of
`duck.utils.multiprocessing.proxy` that these proxies replace."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types
from multiprocessing import shared_memory

import coheld.proxy
import marks
import proxy_classes as classes
import pytest
import subject
from coheld.proxy import Proxy, ProxyError, ProxyServer

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def server():
    with ProxyServer(bufsize=200) as started:
        yield started


@pytest.fixture
def far(processes):
    """Runs a function in another process."""
    return lambda function, *args: processes.run(FORK, function, *args)


USAGE = """
import multiprocessing

from duck.utils.multiprocessing import ProxyServer, Proxy

class myObject:
    pass

server = ProxyServer(bufsize=200)
server.run()

obj = myObject()
obj.a = 100

proxy = server.create_proxy(obj)

def process_entry(proxy: Proxy):
    with proxy as p:
        print(p.a) # Output: 100

p1 = multiprocessing.Process(target=process_entry, args=[proxy])
p1.start()
p1.join()
"""

#: The module under the name that the example imports, and the start method that it was written for.
ALIAS = """
import multiprocessing, sys, types
import coheld.proxy
sys.modules["duck"] = types.ModuleType("duck")
sys.modules["duck.utils"] = types.ModuleType("duck.utils")
sys.modules["duck.utils.multiprocessing"] = coheld.proxy
multiprocessing.set_start_method("fork")
"""


def test_the_documented_example_word_for_word():
    """With Duck its main process never ends."""
    assert subject.run_program(ALIAS + USAGE) == "100\n"


def test_the_example_of_the_to_do_list():
    program = ALIAS + textwrap.dedent(
        """
        from duck.utils.multiprocessing import Proxy
        proxy = Proxy([1, 2, 3])

        def process_entry(proxy: Proxy):
            with proxy as p:
                print(list(p)) # Must print [1, 2, 3]
                p.append(4)
                print(list(p)) # Must print [1, 2, 3, 4]

        p1 = multiprocessing.Process(target=process_entry, args=[proxy])
        p1.start()
        p1.join()
        """
    )
    assert subject.run_program(program) == "[1, 2, 3]\n[1, 2, 3, 4]\n"


# What comes back (the matrix of section 6).


def test_values_come_back_twice(server, far):
    """Floats and objects hang at the second time."""
    shared = server.create_proxy(classes.Service())

    def use(shared):
        for _ in range(3):
            assert shared.give(1.5) == 1.5 and shared.give(b"x") == b"x"
            shared.number = 2.5
            assert shared.number == 2.5 and shared.inner.value == 7
        return True

    assert far(use, shared)


def test_keys_of_any_class(server, far):
    """A dict with numbers as keys hangs its sender, and every other client of the server."""
    shared = server.create_proxy(classes.Service())
    other = server.create_proxy(classes.Quiet())
    assert far(lambda: shared.give({1: {(2, 3): None}}) == {1: {(2, 3): None}})
    assert far(lambda: (other.nothing(), shared.give(2**64))) == (None, 2**64)


def test_exceptions_that_are_false(server, far):
    shared = server.create_proxy(classes.Service())

    def fail():
        with pytest.raises(classes.OddError) as caught:
            shared.fail(classes.OddError, 3, "detail")
        return caught.value.code, caught.value.detail

    assert far(fail) == (3, "detail")


def test_the_end_of_a_process_is_not_a_hang(server, far):
    shared = server.create_proxy(classes.Service())

    def fail():
        with pytest.raises(ProxyError):
            shared.fail(SystemExit)
        return shared.add(1)

    assert far(fail) == 2


def test_missing_attributes(server, far):
    shared = server.create_proxy(classes.Service())
    assert far(lambda: (hasattr(shared, "x"), getattr(shared, "x", 5))) == (False, 5)


def test_texts_that_look_like_proxies(server, far):
    shared = server.create_proxy(classes.Service())
    texts = ["<proxy>-x", "<callable>-x"]
    assert far(lambda: [shared.give(text) for text in texts]) == texts


def test_deleting(server, far):
    target = classes.Service()
    shared = server.create_proxy(target)
    numbers = server.create_proxy([1, 2])

    def delete():
        del shared.number
        del numbers[0]
        return list(numbers)

    assert far(delete) == [2]
    assert not hasattr(target, "number")


def test_copies_and_pickles_of_proxies(server, far):
    shared = server.create_proxy(classes.Vector(1, 2))

    def use():
        assert copy.copy(shared) == classes.Vector(1, 2)
        again = pickle.loads(pickle.dumps(shared))
        again[0] = 5
        return shared[0]

    assert far(use) == 5


def test_temporaries_in_a_row(server, far):
    """The first to go takes the memory of all others along."""
    shared = server.create_proxy(classes.Service())
    assert far(lambda: [shared.make(n).value for n in range(20)]) == [*range(20)]
    views = server.create_proxy({"a": 1})
    assert far(lambda: [list(views.keys()) for _ in range(5)]) == [["a"]] * 5


# The numbered defects of section 8.


def test_defect_1_answers_for_others(server, processes):
    shared = server.create_proxy(classes.Service())

    def echo(name):
        return sum(shared.give((name, n)) != (name, n) for n in range(300))

    children = [processes.start(FORK, echo, name) for name in range(4)]
    assert [child.result() for child in children] == [0] * 4


def test_defect_2_answers_for_other_threads(server, far):
    shared = server.create_proxy(classes.Service())

    def run():
        wrong = []

        def echo(name):
            wrong.append(sum(shared.give((name, n)) != (name, n) for n in range(100)))

        threads = [threading.Thread(target=echo, args=(name,)) for name in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return wrong

    assert far(run) == [0, 0]


def test_defect_3_answers_for_the_dead(server, processes):
    class Slow:
        def answer(self, value, seconds):
            begun.set()
            time.sleep(seconds)
            return value

    begun = threading.Event()
    shared = server.create_proxy(Slow())
    victim = processes.start(FORK, lambda: shared.answer("for the dead", 0.3))
    assert begun.wait(30)
    victim.kill()
    for _ in range(3):
        assert processes.run(FORK, lambda: shared.answer("mine", 0.2)) == "mine"


def test_defect_4_calls_that_run_twice(server, far):
    target = classes.Service()
    shared = server.create_proxy(target)
    busy = [threading.Thread(target=sum, args=(range(2_000_000),)) for _ in range(4)]
    for thread in busy:
        thread.start()
    assert far(lambda: sum(1 for _ in range(300) if shared.count())) == 300
    for thread in busy:
        thread.join()
    assert target.calls == 300


def test_defect_5_counting_in_several_processes(server, processes):
    """``p.a += 1`` is two operations, here as anywhere; a method of the object is one."""

    class Counter:
        def __init__(self):
            self.total, self.lock = 0, threading.Lock()

        def add(self):
            with self.lock:
                self.total += 1

    target = Counter()
    shared = server.create_proxy(target)

    def count():
        for _ in range(200):
            shared.add()
        return True

    children = [processes.start(FORK, count) for _ in range(2)]
    assert all(child.result() for child in children)
    assert target.total == 400


def test_defect_7_dead_servers(processes):
    mine, theirs = FORK.Pipe()

    def serve():
        with ProxyServer(200) as server:
            theirs.send(server.create_proxy(classes.Service()))
            theirs.recv()

    child = processes.start(FORK, serve)
    shared = mine.recv()
    assert shared.add(1) == 2
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ProxyError):
        shared.add(1)


def test_defects_8_and_9_a_block_that_ends_for_all(server, processes):
    """``with`` and every way to drop a proxy remove the memory for everybody."""
    shared = server.create_proxy(classes.Service())

    def use():
        with shared as entered:
            return entered.add(1)

    assert [processes.run(FORK, use) for _ in range(3)] == [2, 2, 2]
    assert shared.add(1) == 2


def test_defects_10_and_11_targets_keep_their_ends():
    ended = []

    class Target:
        def __del__(self):
            ended.append(True)

    with ProxyServer(200) as server:
        target = Target()
        shared = server.create_proxy(target)
        assert "__del__" not in vars(target)
        server.remove(target)
        del target, shared
        assert subject.wait_until(lambda: ended)
    assert ended == [True]


def test_defect_12_names_that_collide(processes):
    inherited = classes.Service()
    ready, go = FORK.Barrier(2), FORK.Event()

    def serve():
        with ProxyServer(200) as server:
            shared = server.create_proxy(inherited)
            name = shared.get_shared_memory().name
            ready.wait(30)
            return shared.count(), name

    children = [processes.start(FORK, serve) for _ in range(2)]
    go.set()
    (one, first), (two, second) = [child.result() for child in children]
    assert (one, two) == (1, 1) and first != second


def test_defect_13_reads_that_are_lost(server):
    shared = server.create_proxy(classes.Service())
    again = server.create_proxy(classes.Service())
    with pytest.raises(KeyError):
        with shared:
            raise KeyError
    with pytest.raises(ProxyError):
        shared.number
    assert again.number == 100


def test_defect_14_exceptions_that_lose_everything(server, far):
    shared = server.create_proxy(classes.Service())

    def fail():
        with pytest.raises(KeyError) as caught:
            shared.fail(KeyError, "k1")
        assert caught.value.args == ("k1",)
        return "in fail" in caught.value.remote_traceback

    assert far(fail)


def test_defect_14_checks_that_vanish():
    """Duck's are assertions, which are not there with ``-O``."""
    program = (
        "from coheld.proxy import ProxyServer\n"
        "with ProxyServer(200) as server:\n"
        "    try: server.create_proxy(None)\n"
        "    except AssertionError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-O", "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "Target object must not be None.\n"


def test_defect_15_private_names(server, far):
    shared = server.create_proxy(classes.Service())

    def read():
        for name in ("_private", "__dict__", "__setattr__", "__getattribute__", "__subclasshook__"):
            with pytest.raises(AttributeError):
                getattr(shared, name)
        return True

    assert far(read)


def test_defect_16_descriptions(server):
    class Loud:
        def __str__(self):
            raise RuntimeError("nobody asked")

    shared = server.create_proxy(Loud())
    assert isinstance(shared, Loud)
    with pytest.raises(RuntimeError):
        str(shared)


def test_defect_17_failures_without_threads(processes):
    server = ProxyServer(200)
    done = []

    def ask():
        while not server.running:
            time.sleep(0.001)
        shared = server.create_proxy(classes.Service())

        def fail():
            with pytest.raises(KeyError):
                shared.fail(KeyError)
            return True

        try:
            done.append(processes.run(FORK, fail))
        finally:
            server.stop()

    asking = threading.Thread(target=ask)
    asking.start()
    server.run(threaded=False)
    asking.join()
    assert done == [True]


def test_defect_18_what_there_was_not(server, far):
    """Iteration, callbacks, limits of time, removal, an end; the others have files of their own."""
    target = classes.Service()
    shared = server.create_proxy(target)

    def use():
        assert list(shared.numbers(3)) == [0, 1, 2]
        assert shared.apply(lambda x: x + 1, 1) == 2
        with pytest.raises(TimeoutError):
            with coheld.call_timeout(0.1):
                shared.apply(time.sleep, 20)
        return True

    assert far(use)
    server.remove(target)
    server.stop()
    assert not server.running


# Names.


def test_names_and_constants():
    assert Proxy._proxy_prefix == "<proxy>-" and Proxy._callable_prefix == "<callable>-"
    assert Proxy._DATA_SIZE_PREFIX_LEN == ProxyServer._DATA_SIZE_PREFIX_LEN == 4
    names = (
        "get_callable_name is_method_of ProxyError ProxyObjectNotFound LimitedProxyChaining "
        "DataDecodeError DataEncodeError DataTooBigError EmptyData ProxyOpCode Frame Proxy "
        "ProxyServer"
    )
    for name in names.split():
        assert hasattr(coheld.proxy, name)
    assert isinstance(coheld.proxy, types.ModuleType)


def test_names_of_a_proxy(server, far):
    target = classes.Service()
    shared = server.create_proxy(target)
    numbers = server.create_proxy([1])

    def look():
        assert shared.idx == id(target) and shared.target_obj_str == str(target)
        assert numbers.target_obj_str == str(list)
        assert shared._chain_level == 0 and shared._proxy_chaining_max_level == 7
        assert shared.shared_memory_name is None
        block = shared.get_shared_memory()
        assert block.name == shared.shared_memory_name and block.size >= 200
        block.close()
        return True

    assert far(look)


def test_get_response(server, far):
    target = classes.Service()
    shared = server.create_proxy(target)

    def ask():
        Frame, OpCode = coheld.proxy.Frame, coheld.proxy.ProxyOpCode
        idx = shared.idx
        assert shared.get_response(Frame(OpCode.GET, [idx, "number"])) == 100
        assert shared.get_response(Frame(OpCode.SET, [idx, "number", 5])) is None
        assert shared.get_response(Frame(OpCode.EXECUTE, [idx, "add", [1], {"y": 2}]), 5) == 3
        with pytest.raises(TimeoutError, match=r"no response in 0\.20 seconds"):
            request = Frame(OpCode.EXECUTE, [idx, "apply", [time.sleep, 20], {}])
            shared.get_response(request, timeout=0.2)
        with pytest.raises(AssertionError, match="OpCode not recognized"):
            shared.get_response(Frame(OpCode.RESPONSE_PENDING, []))
        return True

    assert far(ask)
    assert target.number == 5


def test_blocks_go_with_their_server(processes):
    server = ProxyServer(200)
    server.run()
    shared = server.create_proxy(classes.Service())
    block = shared.get_shared_memory()
    name = block.name
    block.close()
    server.stop()
    with pytest.raises(FileNotFoundError):
        shared_memory.SharedMemory(name=name)


def test_frames_change_nothing_of_what_is_read_only(server):
    """Neither do they change what such an object gives away."""
    Frame, OpCode = coheld.proxy.Frame, coheld.proxy.ProxyOpCode
    target = classes.Service()
    shared = server.create_proxy(target, readonly=True)
    block = shared.get_shared_memory()

    def ask(opcode, *payload):
        shared.write_frame(block, Frame(opcode, [*payload]))
        for _ in range(10_000):
            reply = shared.read_frame(block)
            if reply.opcode == OpCode.EXECUTION_RESULT:
                return reply.payload
            time.sleep(0.001)
        raise TimeoutError

    try:
        assert ask(OpCode.GET, id(target), "number") == [id(target), 100, None]
        assert "readonly" in ask(OpCode.SET, id(target), "number", 5)[2]
        inner, text, error = ask(OpCode.GET, id(target), "inner")
        assert inner == id(target.inner) and text.startswith("<proxy>-") and error is None
        assert "readonly" in ask(OpCode.SET, inner, "value", 5)[2]
    finally:
        block.close()
    assert (target.number, target.inner.value) == (100, 7)
