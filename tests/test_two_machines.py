"""A manager on one machine and its clients on another one, which find the wire by themselves.

The machines are network namespaces, see `namespaces`. Where the platform has none, what does not
need the cable between them goes over the loopback device.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys

import machine_programs
import namespaces
import pytest
import remote_types
import subject
from interop import pythons, running

SPAWN = multiprocessing.get_context("spawn")

#: The longest that a test of clients of other Pythons may take.
LONG = 300


@pytest.fixture(scope="module")
def network():
    """The two machines."""
    with namespaces.Network() as started:
        yield started


@pytest.fixture
def cable(network):
    """The two machines, with a cable that can be cut."""
    if network.why_not:
        pytest.skip(f"there is no cable to be cut: {network.why_not}")
    yield network
    network.mend()


@pytest.fixture
def server(network):
    """A manager on the near machine."""
    with remote_types.Server((network.near.address, 0), network.near) as started:
        yield started


@pytest.fixture
def far(network, processes):
    """Calls a function on the far machine, in a process of its own."""

    def call(function, *arguments):
        return processes.run(SPAWN, network.far.run, function, *arguments)

    return call


def receive(pipe, child):
    """The next message of a process; if it has ended, what it has raised."""
    if not pipe.poll(40):
        raise TimeoutError("the process says nothing")
    try:
        return pipe.recv()
    except EOFError:
        return child.result()


class Obedient:
    """A client on the far machine that does one thing after the other."""

    def __init__(self, network, processes, address, **options) -> None:
        self._pipe, theirs = SPAWN.Pipe()
        self.child = processes.start(
            SPAWN, network.far.run, machine_programs.obey, address, theirs, options
        )
        theirs.close()
        assert self._receive() == "ready"

    def _receive(self):
        return receive(self._pipe, self.child)

    def begin(self, order) -> None:
        self._pipe.send(order)
        assert self._receive() == ("begun", order)

    def end(self):
        return self._receive()

    def do(self, order):
        self.begin(order)
        return self.end()


@pytest.fixture(scope="module")
def abandoned(network):
    """A manager with a client that was killed when the first test of this module began."""
    with contextlib.ExitStack() as stack:
        server = remote_types.Server((network.near.address, 0), network.near)
        stack.enter_context(server)
        before = server.count()
        ours, theirs = SPAWN.Pipe()
        client = SPAWN.Process(
            target=network.far.run, args=(machine_programs.hold_and_wait, server.address, theirs)
        )
        client.start()
        try:
            assert ours.poll(30) and ours.recv() == 20
            assert server.count() == before + 20
        finally:
            client.kill()
            client.join()
        yield server, before


@pytest.fixture(autouse=True)
def abandon_early(abandoned):
    """The manager waits a minute for the client; meanwhile the other tests go on."""


# ---- The way ------------------------------------------------------------------------------------


def test_the_client_finds_the_wire_by_itself(network, server, far):
    by_wire, address = far(machine_programs.find_the_way, server.address)
    assert by_wire
    assert address == server.address


@pytest.mark.parametrize("any_address", ["", "0.0.0.0"])
def test_a_manager_at_all_addresses_is_called_by_the_one_that_was_reached(
    any_address, network, far
):
    with remote_types.Server((any_address, 0), network.near) as server:
        reached = (network.near.address, server.address[1])
        by_wire, address = far(machine_programs.find_the_way, reached)
        assert by_wire
        assert address == reached
        far(machine_programs.nest, reached)
        far(machine_programs.pass_to_children, reached, "spawn")


@pytest.mark.parametrize("is_any", [False, True])
def test_ipv6(is_any, network, far):
    if network.near.address6 is None:
        pytest.skip("there is no IPv6 here")
    bound = "::" if is_any else network.near.address6
    try:
        server = remote_types.Server((bound, 0), network.near)
    except TimeoutError:
        if network.why_not:
            pytest.skip("there is no IPv6 here")
        raise
    with server:
        reached = (network.near.address6, server.address[1])
        by_wire, address = far(machine_programs.find_the_way, reached)
        assert by_wire
        assert address == reached
        far(machine_programs.nest, reached)
        far(machine_programs.use_classes, reached)


# ---- What there is ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program",
    [
        machine_programs.use_containers,
        machine_programs.use_locks,
        machine_programs.use_queues,
        machine_programs.use_classes,
        machine_programs.nest,
        machine_programs.iterate,
    ],
    ids=lambda program: program.__name__,
)
def test_from_the_far_machine(program, server, far):
    before = server.count()
    far(program, server.address)
    # The client has said goodbye.
    assert subject.wait_until(lambda: server.count() == before)


def test_children_of_the_far_machine(server, far, context):
    routes = far(machine_programs.pass_to_children, server.address, context.get_start_method())
    assert routes == ["wire", "wire"]


def test_a_bare_fork_on_the_far_machine(server, far):
    assert far(machine_programs.fork_bare, server.address) == (0, 201)


def test_both_machines_work_on_the_same_objects(network, server, processes):
    clients = []
    for name in ("near", "far"):
        ours, theirs = SPAWN.Pipe()
        machine = getattr(network, name)
        child = processes.start(
            SPAWN, machine.run, machine_programs.work_together, server.address, name, theirs
        )
        theirs.close()
        clients.append((ours, child))
    for _step in ("made", "done", "checked"):
        messages = [receive(ours, child) for ours, child in clients]
        for (ours, _child), message in zip(clients, reversed(messages)):
            ours.send(message)
    near, far = (child.result() for _ours, child in clients)
    assert near == ["memory", "memory"]
    assert far == ["wire", "wire"]


# ---- Plain Pythons ------------------------------------------------------------------------------


def own_end(subject_name):
    """This Python with Coheld or without."""
    version, program = sys.version_info[:2], sys.executable
    if subject_name == "stock":
        program = pythons.stock_pythons().get(version, program)
    return running.End(subject_name, version, program)


@pytest.mark.timeout(LONG)
@pytest.mark.parametrize(
    "server_is,client_is", [("coheld", "stock"), ("stock", "coheld"), ("coheld", "coheld")]
)
def test_every_step_of_the_interoperability(server_is, client_is, network):
    server_end, client_end = own_end(server_is), own_end(client_is)
    right = running.expected(client_end.version, own_end("stock").program)
    with contextlib.ExitStack() as stack:
        address = {"tcp": [network.near.address, 0]}
        server = running.Server(server_end, address, enter=network.near.enter)
        stack.callback(server.close)
        level = min(server_end.level, client_end.level, client_end.version)
        run = running.run_client(client_end, server, level, short=True, enter=network.far.enter)
        wrong = running.problems(run, server.ended() if run.complete else None, right)
        if wrong:
            pytest.fail("\n".join([*wrong, run.errors, server.stderr()]), pytrace=False)
    assert len(run.results) >= 10


# ---- The cable ----------------------------------------------------------------------------------


def test_a_call_has_its_limit_when_nothing_gets_through(cable, server, processes):
    client = Obedient(cable, processes, server.address, call_timeout=1)
    assert client.do("read") == ("did", [1, 2, 3])
    cable.cut()
    kind, (names, text) = client.do("read")
    assert kind == "raised" and "CallTimeout" in names and "TimeoutError" in names
    assert "__getitem__" in text
    cable.mend()
    # It takes the system some time to notice that there is a cable.
    assert subject.wait_until(lambda: client.do("read") == ("did", [1, 2, 3]), 30)


def test_a_call_goes_on_when_the_cable_is_back(cable, server, processes):
    client = Obedient(cable, processes, server.address)
    cable.cut()
    client.begin("read")
    cable.mend()
    assert client.end() == ("did", [1, 2, 3])


def test_the_next_call_works_after_the_cable_was_cut_between_two(cable, server, processes):
    client = Obedient(cable, processes, server.address)
    assert client.do("read") == ("did", [1, 2, 3])
    cable.cut()
    cable.mend()
    assert client.do("read") == ("did", [1, 2, 3])
    assert client.do("make") == ("did", None)
    assert client.do("read") == ("did", [4])


def test_a_call_that_waits_survives_the_cable(cable, server, processes):
    client = Obedient(cable, processes, server.address, call_timeout=0.5)
    kind, (names, _text) = client.do("wait")
    assert kind == "raised" and "CallTimeout" in names
    cable.cut()
    kind, (names, _text) = client.do("wait")
    assert kind == "raised" and "TimeoutError" in names
    cable.mend()
    assert subject.wait_until(lambda: client.do("read") == ("did", [1, 2, 3]), 30)


# ---- Ends ---------------------------------------------------------------------------------------


def test_a_manager_that_is_started_anew(network, server, processes):
    client = Obedient(network, processes, server.address)
    assert client.do("read") == ("did", [1, 2, 3])
    server.stop()
    for _ in range(2):
        kind, (names, text) = client.do("read")
        assert kind == "raised" and "ManagerGone" in names and "EOFError" in names
        assert str(server.address[1]) in text
    with remote_types.Server(server.address, network.near):
        kind, (_names, text) = client.do("read")
        assert kind == "raised" and "started anew" in text
        assert client.do("make") == ("did", None)
        assert client.do("read") == ("did", [4])


def test_a_killed_client_can_be_followed_by_another_one(network, server, processes):
    client = Obedient(network, processes, server.address)
    client.begin("wait")
    client.child.kill()
    follower = Obedient(network, processes, server.address)
    assert follower.do("read") == ("did", [1, 2, 3])


@pytest.mark.timeout(150)
def test_what_a_killed_client_holds_goes(abandoned):
    # The last test of this module, so most of the time has gone by.
    server, before = abandoned
    assert subject.wait_until(lambda: server.count() == before, 100, 0.2)
