"""`ProxyServer(process=True)`: objects in a process of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

import marks
import proxy_classes as classes
import pytest
import subject
from coheld.proxy import ProxyError, ProxyServer

pytestmark = marks.coheld_only

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def server(context):
    with ProxyServer(200, process=True, context=context) as started:
        yield started


def test_objects_live_there(server, processes, context):
    service = server.create_proxy(classes.Vector(1, 2))
    assert service == classes.Vector(1, 2) and service.numbers == [1, 2]
    assert processes.run(context, change, service)
    assert service == classes.Vector(5, 2)
    where = server.create_proxy(os.getpid)
    assert where() not in (os.getpid(), None)
    server.remove(service)
    with pytest.raises(ProxyError):
        service[0]


def change(vector):
    vector[0] = 5
    return True


def test_objects_are_made_there(server):
    make = server.create_proxy(classes.Unpicklable)
    made = make(3)
    assert made.value == 3
    with pytest.raises(TypeError, match="does not pickle"):
        server.create_proxy(threading.Lock())
    with pytest.raises(TypeError, match="one by one"):
        server.create_proxy([], exposed="append")


def test_its_process_ends_with_the_server(context):
    server = ProxyServer(200, process=True, context=context)
    with pytest.raises(ProxyError, match="is not running"):
        server.create_proxy([])
    server.run()
    pid = server.create_proxy(os.getpid)()
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_its_process_ends_with_a_killed_starter(processes):
    mine, theirs = FORK.Pipe()

    def start():
        server = ProxyServer(200, process=True, context=FORK)
        server.run()
        theirs.send(server.create_proxy(os.getpid)())
        time.sleep(1000)

    # A daemonic process may have no children, so this one forks by itself.
    starter = processes.fork(start)
    pid = mine.recv()
    os.kill(starter, signal.SIGKILL)
    processes.join_fork(starter)

    def is_gone():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    assert subject.wait_until(is_gone, 20)


def test_a_crash_there_is_an_error_here(context):
    with ProxyServer(200, process=True, context=context) as server:
        leave = server.create_proxy(os._exit)
        with pytest.raises(ProxyError):
            leave(3)
        with pytest.raises(ProxyError):
            server.create_proxy([])
