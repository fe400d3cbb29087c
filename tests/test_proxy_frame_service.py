"""Requests in frames, answered by a server of plain objects: each once, whatever goes wrong."""

# Size: one fixture, a server of plain objects, and all that can go wrong with its requests.

from __future__ import annotations

import functools
import gc
import multiprocessing
import os
import sys
import threading
import time
import weakref
from multiprocessing import shared_memory

import pytest
from coheld._coheld import pack_frame
from coheld.proxy._errors import DataTooBigError, EmptyData, ProxyError
from coheld.proxy._frame_proxy import FrameClient
from coheld.proxy._frame_server import FrameServing
from coheld.proxy._frame_service import FrameService
from coheld.proxy._frames import Frame, ProxyOpCode, read_frame, write_frame
from subject import wait_until

GET, SET, EXECUTE = ProxyOpCode.GET, ProxyOpCode.SET, ProxyOpCode.EXECUTE


class PlainServer(FrameServing):
    """The least that answers frames: a table of objects."""

    def __init__(self, bufsize=400) -> None:
        self.proxy_objects = {}
        self._lock = threading.RLock()
        self._threaded = True
        self._bufsize = bufsize
        self._wrap_unserializable_objects = True
        self._proxy_chaining_max_level = 7
        self.requests = 0

    def _register_target(self, target, block, giver=None):
        with self._lock:
            self.proxy_objects.setdefault(id(target), [target, None, block])
            return id(target)

    def _check_exposed(self, entry, name, operation):
        assert operation in ("get", "set", "call")
        if name.startswith("_") and not name.startswith("__"):
            raise AttributeError(f"cannot {operation} {name!r}")

    def handle_request_frame(self, shared_memory, frame):
        self.requests += 1
        super().handle_request_frame(shared_memory, frame)


class Falsy(Exception):
    def __len__(self):
        return 0


class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Odd:
    """Does not travel."""

    def __init__(self, text="odd") -> None:
        self.text = text

    def __str__(self):
        return self.text


class Target:
    def __init__(self) -> None:
        self.value = 100
        self.text = "text"
        self.odd = Odd()
        self.partial = functools.partial(self.add, 40)
        self.of_instance = lambda x: x * 2
        self.count = 0
        self.go_on = threading.Event()
        self.entered = threading.Event()

    def add(self, x, y=1):
        return x + y

    @classmethod
    def of_class(cls, x):
        return x + 1

    @staticmethod
    def static(x):
        return x + 2

    def give(self, value):
        return value

    def evaluate(self, expression):
        return eval(expression)

    def increment(self):
        self.count += 1
        return self.count

    def wait(self, answer):
        self.entered.set()
        self.go_on.wait(30)
        return answer

    def own_method(self):
        return self.add

    def fail(self, kind, *args):
        classes = {"Falsy": Falsy, "Silent": Silent}
        raise (classes.get(kind) or getattr(__import__("builtins"), kind))(*args)


def ask(block, opcode, payload, seconds=20):
    """What a client does, on its own: write, and look until there is a result."""
    write_frame(block, Frame(opcode, payload))
    return wait_for_result(block, seconds)


def wait_for_result(block, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        frame = read_frame(block, timeout=1)
        if frame.opcode == ProxyOpCode.EXECUTION_RESULT:
            return frame.payload
        time.sleep(0.0005)
    raise TimeoutError("no result")


class Served:
    """A server with targets, each with a block of its own."""

    def __init__(self, bufsize=400) -> None:
        self.server = PlainServer(bufsize)
        self.service = FrameService(self.server)
        self.blocks = []

    def add(self, target, block=None):
        block = block or shared_memory.SharedMemory(create=True, size=self.server._bufsize)
        if block not in self.blocks:
            self.blocks.append(block)
        self.server._register_target(target, block)
        self.service.add(block)
        return block

    def close(self):
        self.service.stop()
        for block in self.blocks:
            block.close()
            block.unlink()


@pytest.fixture
def served():
    made = Served()
    yield made
    made.close()


@pytest.fixture
def target():
    return Target()


@pytest.fixture
def block(served, target):
    made = served.add(target)
    served.service.start()
    return made


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        5,
        -(2**63),
        2**64 - 1,
        1.5,
        b"bytes",
        "t\u00e4xt",
        [1, [2.0]],
        {"a": None},
    ],
)
def test_values_are_sent_as_values(block, target, value):
    assert ask(block, SET, [id(target), "value", value]) == [id(target), None, None]
    assert target.value == value
    assert ask(block, GET, [id(target), "value"]) == [id(target), value, None]
    assert ask(block, EXECUTE, [id(target), "give", [value], {}]) == [id(target), value, None]


def test_dicts_that_clients_cannot_read_are_objects(block, target, served):
    assert ask(block, SET, [id(target), "value", {1: 2}])[2] is None
    assert target.value == {1: 2}
    reply = ask(block, GET, [id(target), "value"])
    assert reply == [id(target.value), f"<proxy>-{dict}", None]
    assert ask(block, EXECUTE, [id(target.value), "get", [1], {}])[1] == 2
    served.server._wrap_unserializable_objects = False
    error = ask(block, GET, [id(target), "value"])[2]
    assert (
        error == "TypeError: in a frame the keys of dicts are of type 'str' or 'bytes', not 'int'"
    )


def test_arguments_and_results_that_msgpack_turns_into_others(block, target):
    assert ask(block, EXECUTE, [id(target), "add", (2,), {"y": 3}])[1] == 5
    assert ask(block, EXECUTE, [id(target), "evaluate", ["(1, (2, 3))"], {}])[1] == [1, [2, 3]]


def test_what_can_be_called_is_called_by_its_name(block, target):
    for name, args, expected in [
        ("add", [2], 3),
        ("partial", [2], 42),
        ("of_instance", [4], 8),
        ("of_class", [1], 2),
        ("static", [1], 3),
        ("__class__", [], None),
    ]:
        assert ask(block, GET, [id(target), name]) == [id(target), f"<callable>-{name}", None]
        if expected is not None:
            assert ask(block, EXECUTE, [id(target), name, args, {}])[1] == expected


def test_a_method_that_is_returned_by_its_own_object(block, target):
    reply = ask(block, EXECUTE, [id(target), "own_method", [], {}])
    assert reply == [id(target), "<callable>-add", None]


def test_a_function_that_is_returned_is_an_object_of_its_own(block, target, served):
    target_id, text, error = ask(block, EXECUTE, [id(target), "evaluate", ["self.odd.__str__"], {}])
    assert text.startswith("<proxy>-<bound method Odd.__str__")
    assert error is None
    assert ask(block, EXECUTE, [target_id, "__call__", [], {}])[1] == "odd"


def test_what_does_not_travel_is_reached_through_the_same_block(block, target, served):
    reply = ask(block, GET, [id(target), "odd"])
    assert reply == [id(target.odd), "<proxy>-odd", None]
    assert served.server.proxy_objects[id(target.odd)][0] is target.odd
    assert ask(block, GET, [id(target.odd), "text"]) == [id(target.odd), "odd", None]
    # It has been given away already, and stays the same.
    assert ask(block, GET, [id(target), "odd"]) == reply
    assert ask(block, SET, [id(target.odd), "text", "even"])[2] is None
    assert ask(block, GET, [id(target), "odd"])[1] == "<proxy>-even"


@pytest.mark.parametrize(
    "expression",
    [
        "{1, 2}",
        "iter([1])",
        "{1: 2}",
        "[{None: 1}]",
        "{1: 2}.keys()",
        "[1, {2}]",
        "{'a': object()}",
        "1j",
    ],
)
def test_values_without_a_form_become_objects_of_their_own(block, target, served, expression):
    target_id, text, error = ask(block, EXECUTE, [id(target), "evaluate", [expression], {}])
    assert error is None
    found = served.server.proxy_objects[target_id][0]
    kind = type(eval(expression))
    assert type(found) is kind
    assert text == f"<proxy>-{1j if kind is complex else kind}"


def test_without_wrapping_they_are_errors(block, target, served):
    served.server._wrap_unserializable_objects = False
    assert ask(block, GET, [id(target), "odd"]) == [
        id(target),
        None,
        "TypeError: can not serialize 'Odd' object",
    ]
    reply = ask(block, EXECUTE, [id(target), "evaluate", ["[{1}]"], {}])
    assert reply[2] == "TypeError: can not serialize 'set' object"


def test_a_long_text_of_an_object_is_cut(block, target):
    target.odd.text = "\u20ac" * 1000
    text = ask(block, GET, [id(target), "odd"])[1]
    assert set(text.removeprefix("<proxy>-")) == {"\u20ac"}
    assert 100 < len(text) < 140
    target.odd.text = "\ud800"
    assert ask(block, GET, [id(target), "odd"])[1] == "<proxy>-\\ud800"
    target.odd.text = None
    assert ask(block, GET, [id(target), "odd"])[1] == f"<proxy>-{Odd}"


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["KeyError", "k1"], "KeyError: 'k1'"),
        (["ValueError", "text"], "ValueError: text"),
        (["Falsy"], "Falsy: "),
        (["Silent"], "Silent: <str() of it failed>"),
        (["SystemExit", 3], "SystemExit: 3"),
        (["KeyboardInterrupt"], "KeyboardInterrupt: "),
        (["GeneratorExit"], "GeneratorExit: "),
        (["StopIteration"], "StopIteration: "),
    ],
)
@pytest.mark.parametrize("threaded", [True, False])
def test_exceptions_are_answered(block, target, served, args, expected, threaded):
    served.server._threaded = threaded
    target_id, value, error = ask(block, EXECUTE, [id(target), "fail", args, {}])
    assert (target_id, value) == (id(target), None)
    assert error.startswith(expected)
    assert ask(block, GET, [id(target), "value"])[1] == 100


def test_the_text_of_a_long_error_is_cut(block, target):
    expression = "(_ for _ in ()).throw(ValueError('x' * 300 + '\u20ac' * 300))"
    error = ask(block, EXECUTE, [id(target), "evaluate", [expression], {}])[2]
    assert error.rstrip("\u20ac") == "ValueError: " + "x" * 300
    assert error.endswith("\u20ac")


@pytest.mark.parametrize(
    ("opcode", "payload", "expected"),
    [
        (EXECUTE, ["evaluate", ["2**64"], {}], "OverflowError: Integer value out of range"),
        (EXECUTE, ["evaluate", ["[2**64]"], {}], "OverflowError: Integer value out of range"),
        (EXECUTE, ["evaluate", ["'\\ud800'"], {}], "UnicodeEncodeError: "),
        (EXECUTE, ["evaluate", ["'x' * 1000"], {}], "DataTooBigError: Data too large to fit"),
        (
            EXECUTE,
            ["evaluate", ["(a := [], a.append(a), a)[2]"], {}],
            "ValueError: recursion limit",
        ),
        (EXECUTE, ["give", ["<proxy>-x"], {}], "ValueError: in a frame a text cannot begin with"),
        (EXECUTE, ["give", ["<callable>-x"], {}], "ValueError: in a frame a text cannot begin"),
        (EXECUTE, ["give", [], {}], "TypeError: "),
        (EXECUTE, ["give", [1], {1: 2}], "TypeError: "),
        (EXECUTE, ["give", 5, {}], "TypeError: "),
        (EXECUTE, ["give", [5]], "ValueError: not enough values"),
        (EXECUTE, ["_private", [], {}], "AttributeError: cannot call '_private'"),
        (EXECUTE, ["__del__", [], {}], "AttributeError: "),
        (GET, ["_private"], "AttributeError: cannot get '_private'"),
        (SET, ["_private", 1], "AttributeError: cannot set '_private'"),
        (GET, ["missing"], "AttributeError: 'Target' object has no attribute 'missing'"),
        (GET, [5], "TypeError: attribute name must be string"),
        (GET, [], "ValueError: not enough values"),
        (GET, ["a", "b"], "ValueError: too many values"),
        (SET, ["a"], "ValueError: not enough values"),
    ],
)
def test_failures_are_answered(block, target, opcode, payload, expected):
    target_id, value, error = ask(block, opcode, [id(target), *payload])
    assert (target_id, value) == (id(target), None)
    assert error.startswith(expected)


@pytest.mark.parametrize(
    ("payload", "shown", "expected"),
    [
        (
            [5, "a"],
            5,
            "ProxyObjectNotFound: Proxy target object with ID `5` not found. It may have",
        ),
        ([[5], "a"], None, "TypeError: unhashable"),
        (["x" * 350, "a"], None, "ProxyObjectNotFound: Proxy target object with ID `xxx"),
        ([], None, "ProxyError: the payload of a request is a list"),
        (7, None, "ProxyError: the payload of a request is a list"),
        ({"a": 1}, None, "ProxyError: the payload of a request is a list"),
    ],
)
def test_payloads_without_a_target_are_answered(block, payload, shown, expected):
    target_id, value, error = ask(block, GET, payload)
    assert (target_id, value) == (shown, None)
    assert error.startswith(expected)


def test_a_small_block_has_room_for_the_beginning_of_an_error():
    served = Served(bufsize=24)
    try:
        target = Target()
        block = served.add(target)
        served.service.start()
        assert ask(block, GET, [id(target), "x"]) == [id(target), None, "At"]
        write_frame(block, Frame(GET, [2**62, "missing"]))
        assert wait_for_result(block) == [2**62, None, "Pr"]
    finally:
        served.close()


def test_a_request_that_cannot_be_read_is_answered(block, target):
    request = b"\x92\x00\x92\x01\xd4\x05a"
    for _ in range(2):
        block.buf[4 : 4 + len(request)] = request
        block.buf[:4] = len(request).to_bytes(4, "big")
        target_id, value, error = wait_for_result(block)
        assert (target_id, value) == (None, None)
        assert error.startswith("DataDecodeError: Error decoding data: extension types")
    target_id, value, error = ask(block, 9, [id(target), "value"])
    assert error == "ProxyError: operation code 9 is none of a request"
    assert ask(block, GET, [id(target), "value"])[1] == 100


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xff\xff\xff\x92\x00",
        b"\x00\x00\x00\x02\x92\x00",
        b"\x00\x00\x00\x09\x92\x00\xdd\xff\xff\xff\xff\x00\x00",
        b"\x00\x00\x00\x03\xc1\xc1\xc1",
        b"\x00\x00\x00\x00\x92\x00",
        b"\x00\x00\x00\x03\x92\xff\x90",
    ],
)
def test_garbage_in_one_block_holds_up_no_other(served, target, content, capfd):
    bad = served.add(Target())
    good = served.add(target)
    bad.buf[: len(content)] = content
    served.service.start()
    for number in range(50):
        assert ask(good, EXECUTE, [id(target), "give", [number], {}])[1] == number
    assert capfd.readouterr() == ("", "")


def test_a_block_that_was_closed_holds_up_no_other(served, target):
    bad = served.add(Target())
    good = served.add(target)
    bad.close()
    served.service.start()
    assert ask(good, GET, [id(target), "value"])[1] == 100
    assert wait_until(lambda: bad.name not in served.service._watched)


def test_a_server_that_fails_holds_up_nothing(served, target):
    class Failing(PlainServer):
        def handle_request_frame(self, shared_memory, frame):
            if frame.payload == "fail":
                raise RuntimeError("failing")
            super().handle_request_frame(shared_memory, frame)

    served.server = Failing()
    served.service = FrameService(served.server)
    bad, good = served.add(Target()), served.add(target)
    served.service.start()
    write_frame(bad, Frame(GET, "fail"))
    for _ in range(20):
        assert ask(good, GET, [id(target), "value"])[1] == 100


def test_each_request_is_carried_out_once(block, target, served):
    # Threads that want the interpreter delay whoever has read a request.
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            sum(range(2000))

    busy_threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in busy_threads:
        thread.start()
    try:
        for number in range(1, 101):
            assert ask(block, EXECUTE, [id(target), "increment", [], {}])[1] == number
    finally:
        stop.set()
        for thread in busy_threads:
            thread.join()
    assert target.count == served.server.requests == 100


def test_a_slow_request_holds_up_no_other(served, target):
    slow, other = served.add(target), Target()
    quick = served.add(other)
    served.service.start()
    write_frame(slow, Frame(EXECUTE, [id(target), "wait", ["late"], {}]))
    assert target.entered.wait(20)
    assert read_frame(slow).opcode == ProxyOpCode.RESPONSE_PENDING
    for number in range(20):
        assert ask(quick, EXECUTE, [id(other), "give", [number], {}])[1] == number
    target.go_on.set()
    assert wait_for_result(slow)[1] == "late"


def test_the_reply_to_a_client_that_is_gone_goes_to_nobody_else(block, target):
    write_frame(block, Frame(EXECUTE, [id(target), "wait", ["not for you"], {}]))
    assert target.entered.wait(20)
    # The next client neither knows nor waits. Its request is under way when the first one is done.
    second = Target()
    block_of_second = ask(block, EXECUTE, [id(target), "give", [1], {}])
    assert block_of_second[1] == 1
    target.entered.clear()
    target.go_on.set()
    for number in range(50):
        assert ask(block, EXECUTE, [id(target), "give", [number], {}])[1] == number
    assert second.value == 100


def test_a_reply_does_not_overwrite_a_request_that_nobody_has_read(served, target):
    block = served.add(target)
    frame = Frame(EXECUTE, [id(target), "wait", ["late"], {}])
    served.server.handle_request_frame(block, frame)
    assert target.entered.wait(20)
    request = Frame(GET, [id(target), "text"])
    write_frame(block, request)
    target.go_on.set()
    served.service.start()
    assert wait_for_result(block) == [id(target), "text", None]


def test_what_a_proxy_of_duck_sends_last_lets_go_of_what_was_given_away(block, target, served):
    table = served.server.proxy_objects
    target_id = ask(block, EXECUTE, [id(target), "evaluate", ["Odd('gone')"], {}])[0]
    gone = weakref.ref(table[target_id][0])
    assert ask(block, EXECUTE, [target_id, "__del__"]) == [target_id, None, None]
    assert target_id not in table
    gc.collect()
    assert gone() is None
    # Once for each time that it was given away; and never what the server has itself.
    for _ in range(2):
        assert ask(block, GET, [id(target), "odd"])[0] == id(target.odd)
    assert ask(block, EXECUTE, [id(target.odd), "__del__"])[2] is None
    assert ask(block, GET, [id(target.odd), "text"])[1] == "odd"
    assert ask(block, EXECUTE, [id(target.odd), "__del__"])[2] is None
    assert ask(block, GET, [id(target.odd), "text"])[2].startswith("ProxyObjectNotFound: ")
    assert ask(block, EXECUTE, [id(target), "__del__"])[2] is None
    assert ask(block, EXECUTE, [id(target), "give", [None], {}])[2] is None
    assert list(table) == [id(target)]


def test_an_object_whose_proxy_does_not_fit_is_not_kept(served):
    served.server._bufsize = 40
    target = Target()
    target.o = Odd()
    block = served.add(target)
    served.service.start()
    assert ask(block, GET, [id(target), "o"])[1] == "<proxy>-odd"
    served.server._bufsize = 23
    assert ask(block, GET, [id(target), "o"])[:2] in ([id(target.o), "<"], [id(target), None])


# ---- Threads ---------------------------------------------------------------------------------


def threads_of_services():
    return [thread for thread in threading.enumerate() if thread.name == "coheld-frame-service"]


def test_there_is_a_thread_only_while_there_is_a_block(served, target):
    served.service.start()
    assert threads_of_services() == []
    block = served.add(target)
    assert len(threads_of_services()) == 1
    assert threads_of_services()[0].daemon
    other = served.add(Target())
    assert len(threads_of_services()) == 1
    served.service.remove(block)
    served.service.remove(other)
    assert wait_until(lambda: threads_of_services() == [])
    served.service.add(block)
    assert ask(block, GET, [id(target), "value"])[1] == 100
    served.service.stop()
    assert wait_until(lambda: threads_of_services() == [])
    write_frame(block, Frame(GET, [id(target), "value"]))
    time.sleep(0.05)
    assert read_frame(block).opcode == GET
    served.service.start()
    assert wait_for_result(block)[1] == 100


def test_a_block_that_was_removed_is_not_touched(served, target):
    removed, block = served.add(Target()), served.add(target)
    served.service.start()
    served.service.remove(removed)
    served.service.remove(removed)
    removed.buf[:] = bytes(len(removed.buf))
    write_frame(removed, Frame(GET, [id(target), "value"]))
    for _ in range(5):
        assert ask(block, GET, [id(target), "value"])[1] == 100
    assert read_frame(removed).opcode == GET


def test_starting_twice_is_an_error(served):
    served.service.start()
    with pytest.raises(ProxyError, match="started already"):
        served.service.start()
    with pytest.raises(ProxyError, match="started already"):
        served.service.serve_here()


def test_serving_on_the_calling_thread(served, target):
    served.server._threaded = False
    block = served.add(target)
    thread = threading.Thread(target=served.service.serve_here)
    thread.start()
    try:
        reply = ask(block, EXECUTE, [id(target), "evaluate", ["threading.get_ident()"], {}])
        assert reply[1] == thread.ident
        served.service.remove(block)
        served.service.add(block)
        assert ask(block, GET, [id(target), "value"])[1] == 100
    finally:
        served.service.stop()
        thread.join()


def test_workers_are_kept_and_not_one_for_each_request(block, target):
    seen = {
        ask(block, EXECUTE, [id(target), "evaluate", ["threading.get_ident()"], {}])[1]
        for _ in range(50)
    }
    assert len(seen) < 10


def test_a_forked_child_does_not_answer_for_its_parent(block, target, served, processes):
    def child():
        assert threads_of_services() == []
        assert served.service._watched == {}
        mine = Target()
        made = served.add(mine)
        served.service.start()
        answer = ask(made, EXECUTE, [id(mine), "evaluate", ["__import__('os').getpid()"], {}])
        served.service.stop()
        made.close()
        made.unlink()
        return answer[1] == os.getpid()

    assert ask(block, GET, [id(target), "value"])[1] == 100
    assert processes.join_fork(processes.fork(child)) == 0
    reply = ask(block, EXECUTE, [id(target), "evaluate", ["__import__('os').getpid()"], {}])
    assert reply[1] == os.getpid()


def test_an_interpreter_ends_with_a_service_that_nobody_stopped():
    import subprocess

    program = """
import threading
from multiprocessing import shared_memory
from coheld.proxy._frame_service import FrameService
class Server:
    _bufsize = 100
    def handle_request_frame(self, block, frame):
        pass
block = shared_memory.SharedMemory(create=True, size=100)
service = FrameService(Server())
service.add(block)
service.start()
assert threading.active_count() == 2
block.unlink()
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


def test_the_names_of_a_server_of_frames(served, target):
    block = served.add(target)
    with pytest.raises(EmptyData):
        served.server.read_frame(block, timeout=0)
    size = served.server.write_frame(block, Frame(GET, [id(target), "value"]))
    assert size == len(pack_frame(GET, [id(target), "value"]))
    frame = served.server.read_frame(block)
    served.server.handle_frame(block, frame)
    assert served.server.read_frame(block).payload == [id(target), 100, None]
    served.server._bufsize = 10
    with pytest.raises(DataTooBigError, match="greater than 10 byte"):
        served.server.write_frame(block, frame)


def test_other_processes_are_served(block, target, processes):
    context = multiprocessing.get_context("fork")
    assert processes.run(context, ask, block, EXECUTE, [id(target), "add", [1, 2], {}])[1] == 3


def use_client(name, idx):
    client = FrameClient(name, idx)
    odd = client.get("odd")
    answers = [client.execute("add", [1], {"y": 2}), client.get("partial")(2), odd.get("text")]
    try:
        client.get("missing")
    except AttributeError as error:
        answers.append(isinstance(error, ProxyError))
    client.set("value", odd.chain_level)
    return answers


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_clients_that_speak_in_frames(block, target, processes, method):
    assert use_client(block.name, id(target)) == [3, 42, "odd", True]
    context = multiprocessing.get_context(method)
    assert processes.run(context, use_client, block.name, id(target)) == [3, 42, "odd", True]
    assert target.value == 0
    with pytest.raises(TypeError, match="the keys of dicts"):
        FrameClient(block.name, id(target)).set("value", {1: 2})
