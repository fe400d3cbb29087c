"""Entries of `listener_client` that a program makes: between Coheld and the standard library."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys

import coheld
import own_transport
import pytest

MODULES = ("coheld.managers", "multiprocessing.managers")


@pytest.fixture
def serve():
    """Starts a manager in a process of its own; returns its address."""
    started = []

    def start(module):
        command = [sys.executable, own_transport.__file__, module, "serve"]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return tuple(json.loads(started[-1].stdout.readline()))

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("client", MODULES)
@pytest.mark.parametrize("server", MODULES)
def test_each_with_each(serve, server, client):
    address = json.dumps(serve(server))
    command = [sys.executable, own_transport.__file__, client, "use", address]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    assert json.loads(done.stdout) == own_transport.EXPECTED


def test_what_goes_wrong_is_raised_as_it_is(serve):
    address = serve("coheld.managers")
    manager = own_transport.manager_of("coheld.managers", address)
    manager._authkey = multiprocessing.process.AuthenticationString(b"wrong")
    with pytest.raises(multiprocessing.AuthenticationError):
        manager.connect()


def test_a_lost_connection_and_a_limit(serve):
    address = serve("coheld.managers")
    manager = own_transport.manager_of("coheld.managers", address)
    manager.connect()
    queue, numbers = manager.Queue(), manager.list([1])
    with coheld.call_timeout(0.2), pytest.raises(coheld.CallTimeout):
        queue.get()
    assert numbers[0] == 1


def test_a_manager_that_is_started(tmp_path):
    with own_transport.manager_of("coheld.managers") as manager:
        assert own_transport.use(own_transport.manager_of("coheld.managers", manager.address)) == (
            own_transport.EXPECTED
        )
        assert manager.list([1])[:] == [1]
