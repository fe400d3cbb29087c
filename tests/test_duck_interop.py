"""The package duckframework, unmodified, in processes of its own, at the other end of frames."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from coheld.proxy import Frame, LimitedProxyChaining, ProxyError, ProxyOpCode
from coheld.proxy._frame_proxy import FrameClient, remote_error

PROGRAMS = Path(__file__).with_name("duck_programs.py")

#: Without it, each process that imports Duck makes up a secret and writes it into the folder that
#: it runs in, and of several at once some fail at that.
ENVIRONMENT = {**os.environ, "DXS": "of-the-tests"}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("duck") is None, reason="the package duckframework is not installed"
)


def run_program(folder, role, given=None):
    """Run a program with Duck in a folder; return what it prints."""
    done = subprocess.run(
        [sys.executable, str(PROGRAMS), role],
        cwd=folder,
        env=ENVIRONMENT,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ---- Duck's proxies of Coheld's server -----------------------------------------------------------

FROM_THE_SERVER = "Server-side error when operating on target object id="

#: What a client of Duck evaluates, and what comes of it: a value or the beginning of an error.
EXPRESSIONS = [
    ("p.number", 100),
    ("setattr(p, 'number', 5)", None),
    ("p.number", 5),
    ("p.add(1, y=2)", 3),
    ("p.add(1)", 2),
    ("p.partial(2)", 42),
    ("p.of_class(1)", 2),
    ("p['a']", 1),
    ("p.__setitem__('b', [1, None])", None),
    ("p['b']", [1, None]),
    ("p.give({'a': {'b': 'c'}})", {"a": {"b": "c"}}),
    # Those by which Duck's own server hangs or answers something else.
    ("p.ratio", 1.5),
    ("p.ratio", 1.5),
    ("p.data", b"bytes"),
    ("p.give(b'bytes')", b"bytes"),
    ("str(d := p.evaluate('{1: 2}'))", "<[Proxy <class 'dict'>]>"),
    ("d[1]", 2),
    ("p.evaluate('2**64')", ("ProxyError", "OverflowError: Integer value out of range")),
    ("p.evaluate('\"x\" * 5000')", ("ProxyError", "DataTooBigError: Data too large to fit")),
    ("p.fail('Falsy')", ("ProxyError", "Falsy: ")),
    ("p.fail('SystemExit', 3)", ("ProxyError", "SystemExit: 3")),
    ("p.fail('KeyError', 'k1')", ("ProxyError", "KeyError: 'k1'")),
    ("p.missing", ("ProxyError", "AttributeError: 'Target' object has no attribute 'missing'")),
    ("p._private", ("ProxyError", "AttributeError: cannot read 'Target' object: attribute")),
    ("p.evaluate('\"<proxy>-x\"')", ("ProxyError", "ValueError: in a frame a text cannot begin")),
    # Chains.
    ("str(o := p.odd)", "<[Proxy odd one]>"),
    ("o.text", "one"),
    ("setattr(o, 'text', 'two')", None),
    ("o.text", "two"),
    ("[str(more := o.make()), more.text]", ["<[Proxy odd two+]>", "two+"]),
    ("str(s := p.evaluate('{1}'))", "<[Proxy <class 'set'>]>"),
    ("s.add(2)", None),
    ("s.__len__()", 2),
]


def test_duck_proxies_use_a_server_of_coheld(tmp_path):
    expressions = [expression for expression, _ in EXPRESSIONS]
    answers = run_program(tmp_path, "client", expressions)
    for (expression, expected), (kind, text) in zip(EXPRESSIONS, answers):
        if type(expected) is tuple:
            assert kind == expected[0], (expression, text)
            assert text.startswith(FROM_THE_SERVER) and expected[1] in text
        else:
            assert (kind, text) == ("value", repr(expected)), expression
    assert len(answers) == len(expressions)


def test_several_proxies_of_duck_at_once(tmp_path):
    found = run_program(tmp_path, "clients")
    assert found == {"wrong": [0, 0, 0], "counts": [200, 200, 200]}


def test_the_answer_to_a_killed_proxy_of_duck_goes_to_nobody_else(tmp_path):
    assert run_program(tmp_path, "killed") == [*range(20), None, *range(100)]


# ---- Coheld's clients of Duck's server -----------------------------------------------------------


class DuckServer:
    def __init__(self, folder) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAMS), "server"],
            cwd=folder,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.target, self.listed = json.loads(self.process.stdout.readline())

    def client(self, **options):
        return FrameClient(*self.target, **options)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.communicate()
        self.process.stdin.close()
        self.process.stdout.close()
        for name, _ in (self.target, self.listed):
            Path("/dev/shm", name).unlink(missing_ok=True)


@pytest.fixture
def duck_server(tmp_path):
    made = DuckServer(tmp_path)
    yield made
    made.close()


def test_attributes_methods_and_items(duck_server):
    client = duck_server.client()
    assert client.get("number") == 100
    assert client.set("number", [1.5, None, "text", b"bytes", {"a": True}]) is None
    assert client.get("number") == [1.5, None, "text", b"bytes", {"a": True}]
    assert client.execute("add", (1,), {"y": 2}) == 3
    assert client.execute("add", [1]) == 2
    add = client.get("add")
    assert (add(1, 1), add(5, y=5), add(x=1)) == (2, 10, 2)
    assert client.get_item("a") == 1
    client.set_item("a", {"b": [1, 2]})
    assert client.get_item("a") == {"b": [1, 2]}
    client.delete_item("a")
    with pytest.raises(KeyError):
        client.get_item("a")
    client.set("extra", 1)
    client.delete("extra")
    with pytest.raises(AttributeError, match="has no attribute 'extra'"):
        client.get("extra")
    listed = FrameClient(*duck_server.listed)
    listed.get("append")(4)
    assert [listed.get_item(index) for index in range(4)] == [1, 2, 3, 4]
    assert listed.execute("__len__") == 4


def test_errors_are_of_their_own_type_and_duck_s(duck_server):
    client = duck_server.client()
    with pytest.raises(ProxyError) as raised:
        client.execute("fail", ["KeyError", "k1"])
    assert isinstance(raised.value, KeyError)
    text = f"{FROM_THE_SERVER}{duck_server.target[1]}: KeyError: 'k1'"
    assert raised.value.args == (text,)
    with pytest.raises(ProxyError, match="AttributeError: 'Target' object has no") as raised:
        client.get("missing")
    assert isinstance(raised.value, AttributeError)
    # The client goes on.
    assert client.get("number") == 100


def test_chains_and_their_limit(duck_server):
    client = duck_server.client()
    odd = client.execute("make", ["one"])
    assert type(odd) is FrameClient
    assert (odd.chain_level, odd.max_level, odd.text) == (1, 7, "odd one")
    assert odd.get("text") == "one"
    assert odd.chain_level == 0
    last = client
    for level in range(1, 8):
        last = last.execute("make", ["two"] if last is client else ())
        assert last.chain_level == level
    with pytest.raises(LimitedProxyChaining, match=r"level \(7\).*odd two\+\+\+") as raised:
        last.execute("make")
    assert raised.value.max_level == 7
    with pytest.raises(LimitedProxyChaining):
        duck_server.client(max_level=0).execute("make", ["three"])
    # As in Duck, whoever reads a method begins anew.
    odd.get("make")
    assert odd.chain_level == 0
    del odd, last
    assert client.execute("make", ["four"]).get("text") == "four"


def test_raw_frames(duck_server):
    client = duck_server.client()
    frame = Frame(ProxyOpCode.GET, [client.idx, "number"])
    assert client.get_response(frame) == client.get_response(frame, timeout=20) == 100
    with pytest.raises(AssertionError, match="OpCode not recognized, available opcodes: "):
        client.get_response(Frame(ProxyOpCode.RESPONSE_PENDING, []))
    with pytest.raises(AssertionError, match="Frame must be an instance of Frame"):
        client.get_response([0, []])
    with pytest.raises(TypeError, match="can not serialize 'set' object"):
        client.set("number", {1})
    with pytest.raises(OverflowError):
        client.set("number", 2**64)
    # Duck's server would not be able to read it, and serve nobody any more.
    with pytest.raises(TypeError, match="the keys of dicts"):
        client.set("number", {1: 2})
    with pytest.raises(ProxyError, match="Data too large to fit into shared memory buffer"):
        client.set("number", "x" * 2000)
    assert client.get("number") == 100


def echo(target, first):
    give = FrameClient(*target).get("give")
    return sum(give(number) != number for number in range(first, first + 100))


def echo_in_threads(target, first):
    wrong = []
    threads = [
        threading.Thread(target=lambda n=n: wrong.append(echo(target, first + 1000 * n)))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_clients_in_threads_and_processes_get_their_own_answers(duck_server, processes):
    client = duck_server.client()
    assert client.get("number") == 100
    children = [
        processes.start(
            multiprocessing.get_context(method), echo_in_threads, duck_server.target, first
        )
        for method, first in [("fork", 0), ("spawn", 10_000)]
    ]
    assert echo_in_threads(duck_server.target, 20_000) == [0, 0, 0]
    assert [child.result() for child in children] == [[0, 0, 0], [0, 0, 0]]


def wait_at(target):
    return FrameClient(*target).execute("wait")


def test_the_answer_to_a_killed_client_goes_to_nobody_else(duck_server, processes):
    child = processes.start(multiprocessing.get_context("fork"), wait_at, duck_server.target)
    client = duck_server.client()
    # A server looks for any of its objects in any of its blocks.
    through_the_other = FrameClient(duck_server.listed[0], client.idx)
    assert through_the_other.execute("wait_until_entered")
    with pytest.raises(TimeoutError):
        client.get_response(Frame(ProxyOpCode.GET, [client.idx, "number"]), timeout=1)
    child.kill()
    with pytest.raises(TimeoutError):
        client.get_response(Frame(ProxyOpCode.GET, [client.idx, "number"]), timeout=0.3)
    through_the_other.execute("wake")
    assert client.get("number") == 100


def test_a_server_that_was_killed(duck_server):
    client = duck_server.client()
    assert client.get("number") == 100
    duck_server.kill()
    frame = Frame(ProxyOpCode.GET, [client.idx, "number"])
    for _ in range(2):
        with pytest.raises(TimeoutError, match=r"Request timed out: Got no response in  0\.20 sec"):
            client.get_response(frame, timeout=0.2)
    # Nobody has read it, and nobody will when it is too late.
    assert bytes(client.block.buf[:4]) == bytes(4)


def test_a_request_that_nobody_answers_any_more(duck_server, monkeypatch):
    from coheld.proxy import _frame_lines

    monkeypatch.setattr(_frame_lines, "_ABANDONED", 0.2)
    client = duck_server.client()
    duck_server.kill()
    _frame_lines.store(client.block, _frame_lines.pack(Frame(ProxyOpCode.RESPONSE_PENDING, []), 99))
    with pytest.raises(ProxyError, match="its server does not answer any more"):
        client.get("number")


def test_closed_clients(duck_server):
    client, other = duck_server.client(), duck_server.client()
    chained = client.execute("make", ["one"])
    client.close()
    with pytest.raises(ProxyError, match="closed in this process"):
        client.get("number")
    assert chained.get("text") == "one"
    assert other.get("number") == 100
    assert Path("/dev/shm", client.block_name).exists()


def use_and_end(target):
    client = FrameClient(*target)
    return client.get("number"), client.execute("make", ["one"]).get("text")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_whoever_uses_a_block_leaves_it_where_it_is(duck_server, method, tmp_path):
    program = (
        "import multiprocessing, test_duck_interop as test\n"
        "if __name__ == '__main__':\n"
        f"    test.use_and_end({duck_server.target!r})\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        f"    child = context.Process(target=test.use_and_end, args=[{duck_server.target!r}])\n"
        "    child.start()\n"
        "    child.join()\n"
        "    assert child.exitcode == 0\n"
    )
    script = tmp_path / "use.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(PROGRAMS.parent)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert duck_server.client().get("number") == 100


def test_a_block_that_was_made_anew_is_another_one(duck_server):
    client = duck_server.client()
    path = Path("/dev/shm", client.block_name)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        duck_server.client()
    # Through its own block the client goes on, and so does what it gets through it.
    assert client.execute("make", ["one"]).get("text") == "one"
    path.write_bytes(bytes(100))
    assert len(duck_server.client().block.buf) == 100
    assert len(client.block.buf) == 1000


@pytest.mark.parametrize(
    ("name", "bases"),
    [
        ("KeyError", (ProxyError, KeyError)),
        ("FileNotFoundError", (ProxyError, OSError)),
        ("StopIteration", (ProxyError, StopIteration)),
        ("ProxyObjectNotFound", (ProxyError,)),
        ("UnicodeDecodeError", (ProxyError,)),
        ("LimitedProxyChaining", (ProxyError,)),
        ("SystemExit", (ProxyError,)),
        ("Exception", (ProxyError,)),
        ("SomeError", (ProxyError,)),
        ("print", (ProxyError,)),
        ("", (ProxyError,)),
    ],
)
def test_remote_errors(name, bases):
    error = remote_error(name, "the text")
    assert all(isinstance(error, base) for base in bases)
    assert isinstance(error, Exception)
    assert error.args == ("the text",)


# ---- Coheld's `Proxy` of an object of Duck's server ----------------------------------------------

PROXY_OF_DUCK = """
import multiprocessing
from multiprocessing import shared_memory

from duck.utils.multiprocessing.proxy import ProxyServer

from coheld.proxy import Frame, Proxy, ProxyError, ProxyOpCode, is_proxy


class Target:
    def __init__(self):
        self.number, self.items = 100, [1, 2, 3]

    def add(self, x, y=1):
        return x + y

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return self.items[index]

    def fail(self):
        raise KeyError("k")

    def odd(self):
        return {1, 2}


def use(proxy, target_id):
    assert is_proxy(proxy) and isinstance(proxy, Target) and isinstance(proxy, Proxy)
    assert (proxy.number, proxy.add(1), proxy.add(1, y=4)) == (100, 2, 5)
    assert (len(proxy), proxy[1]) == (3, 2)
    proxy.number = 5
    assert proxy.number == 5
    for kind in (KeyError, ProxyError):
        try:
            proxy.fail()
        except kind:
            pass
        else:
            raise AssertionError(kind)
    odd = proxy.odd()
    assert is_proxy(odd) and odd._chain_level == 1
    assert odd.__len__() == 2
    assert proxy.idx == target_id
    assert proxy.get_response(Frame(ProxyOpCode.GET, [target_id, "number"]), 10) == 5
    with proxy as entered:
        assert entered is proxy
    try:
        proxy.number
    except ProxyError:
        pass
    else:
        raise AssertionError("closed, and still of use")


block = shared_memory.SharedMemory(create=True, size=1000)
server = ProxyServer(1000)
server.run()
try:
    target = Target()
    server.create_proxy(target, block)
    proxy = Proxy(server, id(target), target, block)
    context = multiprocessing.get_context("fork")
    for _ in range(2):
        target.number = 100
        child = context.Process(target=use, args=(proxy, id(target)))
        child.start()
        child.join()
        assert child.exitcode == 0
finally:
    server._running = False
    server.server_thread.join()
    block.close()
    block.unlink()
"""


def test_a_proxy_of_an_object_of_ducks_server(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROXY_OF_DUCK],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    # It prints what Duck's server logs: now and then that it has read half of its own reply.
    assert done.returncode == 0, done.stdout + done.stderr
