"""The managers of Python's documentation, in several programs and on several sockets.

The programs are those of docs.python.org/3/library/multiprocessing.html, "Customized managers",
"Using a remote manager" and the example of customized managers, word for word but for the module
that is imported, the port, and lines that tell the port or end the program.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading

import marks
import pytest
import subject
from interop import pythons
from subject import managers

FORK = multiprocessing.get_context("fork")

STOCK_MODULE = "multiprocessing.managers"

#: Ends of the recipe: the module under test with itself, and with the standard library's.
PAIRS = [(subject.MODULE, subject.MODULE)]
if not subject.IS_STOCK:
    PAIRS += [(subject.MODULE, STOCK_MODULE), (STOCK_MODULE, subject.MODULE)]

#: Before a program: a server that is forgotten ends with this process.
PREFACE = """
import ctypes, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
"""

QUEUE_SERVER = """
from {module} import BaseManager
from queue import Queue
queue = Queue()
class QueueManager(BaseManager): pass
QueueManager.register('get_queue', callable=lambda:queue)
m = QueueManager(address=('', {port}), authkey=b'abracadabra')
s = m.get_server()
print(s.address[1], flush=True)
s.serve_forever()
"""

QUEUE_CLIENT_THAT_PUTS = """
from {module} import BaseManager
class QueueManager(BaseManager): pass
QueueManager.register('get_queue')
m = QueueManager(address=('127.0.0.1', {port}), authkey=b'abracadabra')
m.connect()
queue = m.get_queue()
queue.put('hello')
"""

QUEUE_CLIENT_THAT_GETS = """
from {module} import BaseManager
class QueueManager(BaseManager): pass
QueueManager.register('get_queue')
m = QueueManager(address=('127.0.0.1', {port}), authkey=b'abracadabra')
m.connect()
queue = m.get_queue()
print(queue.get())
"""

QUEUE_SERVER_WITH_A_WORKER = """
from multiprocessing import Process, Queue
from {module} import BaseManager
class Worker(Process):
    def __init__(self, q):
        self.q = q
        super().__init__()
    def run(self):
        self.q.put('local hello')

queue = Queue()
w = Worker(queue)
w.start()
class QueueManager(BaseManager): pass

QueueManager.register('get_queue', callable=lambda: queue)
m = QueueManager(address=('', {port}), authkey=b'abracadabra')
s = m.get_server()
print(s.address[1], flush=True)
s.serve_forever()
"""

MATHS = """
from {module} import BaseManager

class MathsClass:
    def add(self, x, y):
        return x + y
    def mul(self, x, y):
        return x * y

class MyManager(BaseManager):
    pass

MyManager.register('Maths', MathsClass)

if __name__ == '__main__':
    with MyManager() as manager:
        maths = manager.Maths()
        print(maths.add(4, 3))         # prints 7
        print(maths.mul(7, 8))         # prints 56
"""

DEMO = """
from multiprocessing import freeze_support
from {module} import BaseManager, BaseProxy
import operator

##

class Foo:
    def f(self):
        print('you called Foo.f()')
    def g(self):
        print('you called Foo.g()')
    def _h(self):
        print('you called Foo._h()')

# A simple generator function
def baz():
    for i in range(10):
        yield i*i

# Proxy type for generator objects
class GeneratorProxy(BaseProxy):
    _exposed_ = ['__next__']
    def __iter__(self):
        return self
    def __next__(self):
        return self._callmethod('__next__')

# Function to return the operator module
def get_operator_module():
    return operator

##

class MyManager(BaseManager):
    pass

# register the Foo class; make `f()` and `g()` accessible via proxy
MyManager.register('Foo1', Foo)

# register the Foo class; make `g()` and `_h()` accessible via proxy
MyManager.register('Foo2', Foo, exposed=('g', '_h'))

# register the generator function baz; use `GeneratorProxy` to make proxies
MyManager.register('baz', baz, proxytype=GeneratorProxy)

# register get_operator_module(); make public functions accessible via proxy
MyManager.register('operator', get_operator_module)

##

def test():
    manager = MyManager()
    manager.start()

    print('-' * 20)

    f1 = manager.Foo1()
    f1.f()
    f1.g()
    assert not hasattr(f1, '_h')
    assert sorted(f1._exposed_) == sorted(['f', 'g'])

    print('-' * 20)

    f2 = manager.Foo2()
    f2.g()
    f2._h()
    assert not hasattr(f2, 'f')
    assert sorted(f2._exposed_) == sorted(['g', '_h'])

    print('-' * 20)

    it = manager.baz()
    for i in it:
        print('<%d>' % i, end=' ')
    print()

    print('-' * 20)

    op = manager.operator()
    print('op.add(23, 45) =', op.add(23, 45))
    print('op.pow(2, 94) =', op.pow(2, 94))
    print('op._exposed_ =', op._exposed_)

##

if __name__ == '__main__':
    freeze_support()
    test()
"""


class Programs:
    """Programs in files of their own, which end with the test."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []

    def start(self, text, module, port=0, python=sys.executable):
        script = self.folder / f"program-{len(self.running)}.py"
        script.write_text(PREFACE + text.format(module=module, port=port))
        process = subprocess.Popen(
            [python, script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def run(self, *args, **options):
        """What a program writes that has to end by itself."""
        process = self.start(*args, **options)
        output, errors = process.communicate(timeout=40)
        assert (errors, process.returncode) == ("", 0)
        return output

    def serve(self, *args, **options):
        """The port of a server."""
        process = self.start(*args, **options)
        line = process.stdout.readline()
        assert line, process.stderr.read()
        return int(line)

    def kill(self, process):
        # It has not been waited for, so the number is still that of its group.
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def close(self):
        for process in self.running:
            self.kill(process)


@pytest.fixture
def programs(tmp_path):
    started = Programs(tmp_path)
    yield started
    started.close()


@pytest.mark.parametrize(("server", "client"), PAIRS)
def test_remote_manager(programs, server, client):
    port = programs.serve(QUEUE_SERVER, server)
    assert programs.run(QUEUE_CLIENT_THAT_PUTS, client, port) == ""
    assert programs.run(QUEUE_CLIENT_THAT_GETS, client, port) == "hello\n"


@pytest.mark.parametrize(("server", "client"), PAIRS)
def test_a_client_that_waits_for_another_one(programs, server, client):
    port = programs.serve(QUEUE_SERVER, server)
    getting = programs.start(QUEUE_CLIENT_THAT_GETS, client, port)
    # The other end of the pair puts, so that both use one queue at the same time.
    programs.run(QUEUE_CLIENT_THAT_PUTS, server, port)
    output, errors = getting.communicate(timeout=40)
    assert (output, errors, getting.returncode) == ("hello\n", "", 0)


@pytest.mark.parametrize(("server", "client"), PAIRS)
def test_remote_manager_with_a_local_process(programs, server, client):
    port = programs.serve(QUEUE_SERVER_WITH_A_WORKER, server)
    assert programs.run(QUEUE_CLIENT_THAT_GETS, client, port) == "local hello\n"


@marks.coheld_only
@pytest.mark.parametrize("version", [(3, minor) for minor in range(8, 15)], ids=str)
def test_remote_manager_with_every_python(programs, version):
    python = pythons.stock_pythons().get(version)
    if python is None:
        pytest.skip("this Python is not here")
    port = programs.serve(QUEUE_SERVER, subject.MODULE)
    programs.run(QUEUE_CLIENT_THAT_PUTS, STOCK_MODULE, port, python=python)
    assert programs.run(QUEUE_CLIENT_THAT_GETS, subject.MODULE, port) == "hello\n"
    port = programs.serve(QUEUE_SERVER, STOCK_MODULE, python=python)
    programs.run(QUEUE_CLIENT_THAT_PUTS, subject.MODULE, port)
    assert programs.run(QUEUE_CLIENT_THAT_GETS, STOCK_MODULE, port, python=python) == "hello\n"


def test_customized_managers(programs):
    assert programs.run(MATHS, subject.MODULE) == "7\n56\n"


def test_demonstration_of_customized_managers(programs):
    output = programs.run(DEMO, subject.MODULE)
    # What the manager process prints comes whenever its buffer is written.
    lines = [line for line in output.splitlines() if not line.startswith("you called")]
    called = sorted(line for line in output.splitlines() if line.startswith("you called"))
    assert called == [
        "you called Foo._h()",
        "you called Foo.f()",
        "you called Foo.g()",
        "you called Foo.g()",
    ]
    rule = "-" * 20
    assert lines[:-1] == [
        *(rule, rule, rule),
        "<0> <1> <4> <9> <16> <25> <36> <49> <64> <81> ",
        rule,
        "op.add(23, 45) = 68",
        "op.pow(2, 94) = 19807040628566084398385987584",
    ]
    assert lines[-1].startswith("op._exposed_ = (")
    assert "'add'" in lines[-1]


@pytest.mark.parametrize(("server", "client"), PAIRS)
def test_a_server_that_is_started_again_and_again_on_its_port(programs, server, client):
    port = programs.serve(QUEUE_SERVER, server)
    for _ in range(4):
        programs.run(QUEUE_CLIENT_THAT_PUTS, client, port)
        programs.kill([one for one in programs.running if one.returncode is None][0])
        # Its connections have been closed by the server, so they still occupy the port.
        assert programs.serve(QUEUE_SERVER, server, port) == port
    programs.run(QUEUE_CLIENT_THAT_PUTS, client, port)
    assert programs.run(QUEUE_CLIENT_THAT_GETS, client, port) == "hello\n"


class QueueManager(managers.BaseManager):
    pass


QueueManager.register("get_queue")


def test_clients_go_on_after_a_restart(programs):
    """A manager object that connects again, as programs do that outlive their server."""
    port = programs.serve(QUEUE_SERVER, STOCK_MODULE)
    manager = QueueManager(address=("127.0.0.1", port), authkey=b"abracadabra")
    manager.connect()
    manager.get_queue().put("lost")
    programs.kill(programs.running[0])
    with pytest.raises(ConnectionRefusedError):
        manager.connect()
    assert programs.serve(QUEUE_SERVER, STOCK_MODULE, port) == port
    results = []

    def in_a_new_thread():
        # Stock's connection of the old thread stays broken for ever.
        manager.connect()
        queue = manager.get_queue()
        queue.put("found")
        results.append(queue.get())

    thread = threading.Thread(target=in_a_new_thread)
    thread.start()
    thread.join()
    assert results == ["found"]


@marks.coheld_only
@pytest.mark.parametrize("module", [STOCK_MODULE, subject.MODULE])
def test_proxies_find_a_server_that_was_started_again(programs, module):
    """In the same thread, with the manager object and without any call of connect()."""
    port = programs.serve(QUEUE_SERVER, module)
    manager = QueueManager(address=("127.0.0.1", port), authkey=b"abracadabra")
    manager.connect()
    old = manager.get_queue()
    old.put("lost")
    programs.kill(programs.running[0])
    with pytest.raises((EOFError, OSError)):
        manager.get_queue().put("nobody is there")
    assert programs.serve(QUEUE_SERVER, module, port) == port
    manager.connect()
    queue = manager.get_queue()
    queue.put("found")
    assert queue.get() == "found"


def free_port(family, host):
    with socket.socket(family) as free:
        free.bind((host, 0))
        return free.getsockname()[1]


def has_ipv6():
    try:
        free_port(socket.AF_INET6, "::1")
    except OSError:
        return False
    return True


@marks.coheld_only
@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("route", ["", "wire"])
def test_ipv6(programs, route, monkeypatch):
    with managers.SyncManager(address=("::1", 0), authkey=b"key", ctx=FORK) as manager:
        assert manager.address[0] == "::1"
        assert manager.list([1])[:] == [1]
        code = f"""
        from {subject.MODULE} import SyncManager
        client = SyncManager(address=("::1", {manager.address[1]}), authkey=b"key")
        client.connect()
        shared = client.list([client.dict(a=1)])
        print(shared[0].copy(), client.Queue().empty(), client.address)
        """
        if route:
            monkeypatch.setenv("COHELD_ROUTE", route)
        output = programs.run(textwrap.dedent(code).replace("{", "{{").replace("}", "}}"), "")
    assert output == f"{{'a': 1}} True ('::1', {manager.address[1]})\n"


def test_every_interface():
    """An address without a host: the server listens everywhere."""
    with managers.SyncManager(address=("", 0), authkey=b"key", ctx=FORK) as manager:
        assert manager.list([1])[:] == [1]
        for host in ("127.0.0.1", "localhost"):
            client = managers.SyncManager(address=(host, manager.address[1]), authkey=b"key")
            client.connect()
            shared = client.list([host])
            assert shared[:] == [host]
            if not subject.IS_STOCK:
                # By whatever name the manager is known to the client.
                assert client.list([shared])[0][:] == [host]


def test_quick_restarts_on_one_port():
    """Managers one after the other, each with a client that stays connected."""
    with managers.SyncManager(address=("127.0.0.1", 0), authkey=b"key", ctx=FORK) as manager:
        address = manager.address
        manager.list()
    kept = []
    for number in range(8):
        with managers.SyncManager(address=address, authkey=b"key", ctx=FORK) as manager:
            client = managers.SyncManager(address=address, authkey=b"key")
            client.connect()
            kept.append(client.list([number]))
            assert kept[-1][:] == [number]
            assert manager._number_of_objects() == 1
