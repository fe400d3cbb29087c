"""The manager object: its life, its errors, its address and key, and what it tells about itself."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys

import marks
import pytest
import subject
from subject import managers

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def unstarted():
    """A manager that was not started; the test may start it."""
    manager = managers.SyncManager(ctx=FORK)
    yield manager
    if hasattr(manager, "shutdown"):
        manager.shutdown()


# Life.


def test_before_start(unstarted):
    assert not hasattr(unstarted, "shutdown")
    assert unstarted._state.value == managers.State.INITIAL == 0
    assert unstarted.address is None
    with pytest.raises(AttributeError):
        unstarted.join()
    with pytest.raises(AssertionError, match="server not yet started"):
        unstarted.list()


def test_start_and_shutdown(unstarted):
    assert unstarted.start() is None
    assert unstarted._state.value == managers.State.STARTED == 1
    assert unstarted._process.is_alive()
    assert unstarted._process.pid != os.getpid()
    assert unstarted._process.name.startswith("SyncManager-")
    assert unstarted.list([1])[:] == [1]
    assert unstarted.shutdown() is None
    assert unstarted._state.value == managers.State.SHUTDOWN == 2
    assert unstarted._process.exitcode in (0, -signal.SIGTERM)
    assert unstarted.shutdown() is None


def test_start_twice(manager):
    with pytest.raises(multiprocessing.ProcessError) as caught:
        manager.start()
    assert caught.value.args == ("Already started server",)
    assert manager.list([1])[:] == [1]


def test_start_after_shutdown(manager):
    manager.shutdown()
    with pytest.raises(multiprocessing.ProcessError) as caught:
        manager.start()
    assert caught.value.args == ("Manager has shut down",)
    with pytest.raises(multiprocessing.ProcessError, match="Manager has shut down"):
        manager.__enter__()
    with pytest.raises(AssertionError, match="server not yet started"):
        manager.list()


def test_context_manager(unstarted):
    with unstarted as entered:
        assert entered is unstarted
        shared = entered.list([1])
        assert shared[:] == [1]
    assert unstarted._state.value == managers.State.SHUTDOWN
    assert not unstarted._process.is_alive()


def test_with_a_started_manager(manager):
    with manager as entered:
        assert entered is manager
    assert not manager._process.is_alive()


def test_join(manager):
    assert manager.join(0.05) is None
    assert manager._process.is_alive()
    manager.shutdown()
    manager.join()
    assert manager._process is None


def test_one_more_child_at_most(manager):
    children = multiprocessing.active_children()
    assert manager._process in children
    assert len(children) == 1


def test_start_in_each_context(manager_of_context):
    assert manager_of_context.list([1])[:] == [1]


def test_manager_function():
    if subject.IS_STOCK:
        manager = multiprocessing.Manager()
    else:
        import coheld

        manager = coheld.Manager()
    with manager:
        assert isinstance(manager, managers.SyncManager)
        assert manager.list([1])[:] == [1]


def test_garbage_collected_manager_ends_its_process(unstarted):
    manager = managers.SyncManager(ctx=FORK)
    manager.start()
    process = manager._process
    del manager
    assert subject.wait_until(lambda: not process.is_alive())


def test_shutdown_in_a_program_that_forgets_it(tmp_path):
    """A program that ends without shutdown leaves no manager process behind and says nothing."""
    script = tmp_path / "forgets.py"
    script.write_text(
        f"from {managers.__name__} import SyncManager\n"
        "manager = SyncManager()\n"
        "if __name__ == '__main__':\n"
        "    manager.start()\n"
        "    shared = manager.list([1])\n"
        "    print(manager._process.pid)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=30)
    assert done.stderr == "" and done.returncode == 0
    pid = int(done.stdout)
    assert subject.wait_until(lambda: not os.path.exists(f"/proc/{pid}"))


def test_keyboard_interrupt_does_not_end_the_manager(manager):
    os.kill(manager._process.pid, signal.SIGINT)
    assert manager.list([1])[:] == [1]
    assert manager._process.is_alive()
    assert manager._number_of_objects() is not None


@marks.coheld_only
def test_manager_ends_when_its_creator_was_killed(tmp_path):
    """Stock managers outlive a killed parent for ever."""
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, signal, coheld\n"
        "if __name__ == '__main__':\n"
        "    manager = coheld.Manager()\n"
        "    print(manager._process.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=30)
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    assert subject.wait_until(lambda: not os.path.exists(f"/proc/{pid}"))


@marks.coheld_only
def test_manager_ends_when_its_creator_was_killed_that_has_forked(tmp_path, context):
    """Under forkserver it went on as long as any process that the creator had forked."""
    script = tmp_path / "killed.py"
    script.write_text(
        "import multiprocessing, os, sys, time\n"
        "from coheld.managers import SyncManager\n"
        "if __name__ == '__main__':\n"
        "    manager = SyncManager(ctx=multiprocessing.get_context(sys.argv[1]))\n"
        "    manager.start()\n"
        "    child = os.fork()\n"
        "    if child > 0:\n"
        "        print(manager._process.pid, child, flush=True)\n"
        "    time.sleep(60)\n"
        "    os._exit(0)\n"
    )
    command = [sys.executable, script, context.get_start_method()]
    creator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with creator:
        pid, child = map(int, creator.stdout.readline().split())
        assert os.path.exists(f"/proc/{pid}")
        creator.kill()
    try:
        assert subject.wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
        assert os.path.exists(f"/proc/{child}")
    finally:
        os.kill(child, signal.SIGKILL)


# Initializers.


def write_pid(path, text):
    with open(path, "w") as file:
        file.write(f"{os.getpid()} {text}")


def append_to(shared, item):
    shared.append(item)


def fail():
    raise ValueError("the initializer's fault")


def test_initializer_runs_in_the_process_of_the_manager(context, tmp_path):
    path = tmp_path / "pid"
    with_initializer = managers.SyncManager(ctx=context)
    with_initializer.start(write_pid, (str(path), "hello"))
    try:
        assert path.read_text() == f"{with_initializer._process.pid} hello"
    finally:
        with_initializer.shutdown()


def test_initializer_with_a_proxy_of_another_manager(manager, unstarted):
    shared = manager.list()
    unstarted.start(append_to, (shared, "from there"))
    assert shared[:] == ["from there"]


@pytest.mark.parametrize("nonsense", [5, "text", [1]])
def test_initializer_that_cannot_be_called(unstarted, nonsense):
    with pytest.raises(TypeError, match="initializer must be a callable"):
        unstarted.start(nonsense)


def test_initializer_that_fails(unstarted):
    with pytest.raises(EOFError):
        unstarted.start(fail)


class Odd(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


class Stays(Exception):
    """Cannot even be pickled."""

    def __reduce__(self):
        raise TypeError("stays here")


def fail_oddly():
    raise Odd("this", "that")


def fail_and_stay():
    raise Stays("for reasons")


@marks.coheld_only
@pytest.mark.parametrize(
    "initializer, text, cause",
    [
        (fail, "ValueError: the initializer's fault", ValueError),
        (fail_oddly, "Odd: this and that", None),
        (fail_and_stay, "Stays: for reasons", None),
        (sys.exit, "SystemExit", SystemExit),
    ],
)
def test_what_a_failed_start_says(context, initializer, text, cause):
    """An exception that could not be unpickled was replaced by what its class raised then."""
    import coheld

    manager = managers.SyncManager(ctx=context)
    with pytest.raises(coheld.StartupError, match=re.escape(text)) as caught:
        manager.start(initializer)
    assert type(caught.value.__cause__) is (cause or type(None))
    # It was waited for: it is no zombie.
    assert not os.path.exists(f"/proc/{manager._process.pid}")
    assert manager._process.exitcode is not None


# Address and key.


def test_address_of_ones_own(tmp_path):
    address = str(tmp_path / "socket")
    with managers.SyncManager(address=address, ctx=FORK) as manager:
        assert manager.address == address
        assert manager.list([1])._token.address == address


def test_abstract_address():
    address = f"\0coheld-test-{os.getpid()}"
    with managers.SyncManager(address=address, ctx=FORK) as manager:
        assert manager.list([1])[:] == [1]


def test_address_cannot_be_set(manager):
    assert isinstance(manager.address, str)
    with pytest.raises(AttributeError):
        manager.address = "elsewhere"


def test_address_in_use(manager):
    second = managers.SyncManager(address=manager.address, ctx=FORK)
    with pytest.raises(EOFError):
        second.start()


def test_key_must_be_bytes():
    with pytest.raises(TypeError, match="string argument without an encoding"):
        managers.SyncManager(authkey="text")


def test_default_key_is_that_of_the_process(manager):
    assert bytes(manager._authkey) == bytes(multiprocessing.current_process().authkey)


@pytest.mark.parametrize("key", [b"secret", b"", b"\x00" * 200])
def test_key_of_ones_own(key):
    with managers.SyncManager(authkey=key, ctx=FORK) as manager:
        assert manager.list([1])[:] == [1]
        client = managers.SyncManager(address=manager.address, authkey=key)
        client.connect()
        assert client.list([2])[:] == [2]


def test_unknown_serializer():
    with pytest.raises(KeyError):
        managers.SyncManager(serializer="nonsense")


def test_unknown_serializer_of_a_proxy(manager):
    token = manager.list([1])._token
    for class_ in (managers.BaseProxy, managers.ListProxy):
        with pytest.raises(KeyError, match="'nonsense'"):
            class_(token, "nonsense", authkey=manager._authkey)


def test_connect(manager):
    client = managers.SyncManager(address=manager.address)
    assert client.connect() is None
    assert client.connect() is None
    shared = client.list([1])
    shared.append(2)
    assert shared[:] == [1, 2]
    assert client._state.value == managers.State.STARTED
    assert not hasattr(client, "shutdown")
    with pytest.raises(AttributeError):
        client.join()


def test_connect_from_an_unrelated_process(manager, tmp_path):
    script = tmp_path / "client.py"
    script.write_text(
        "import sys\n"
        f"from {managers.__name__} import SyncManager\n"
        "client = SyncManager(address=sys.argv[1], authkey=bytes.fromhex(sys.argv[2]))\n"
        "client.connect()\n"
        "shared = client.dict(a=[1, 2])\n"
        "shared['b'] = 'text'\n"
        "print(shared)\n"
    )
    done = subprocess.run(
        [sys.executable, script, manager.address, bytes(manager._authkey).hex()],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.stdout, done.stderr) == ("{'a': [1, 2], 'b': 'text'}\n", "")
    assert subject.objects_left(manager) == 0


def test_connect_to_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        managers.SyncManager(address=str(tmp_path / "nothing"), authkey=b"k").connect()


# What it tells about itself.


def test_number_of_objects(manager):
    assert manager._number_of_objects() == 0
    shared, other = manager.list(), manager.dict()
    assert manager._number_of_objects() == 2
    del shared
    assert subject.objects_left(manager, 1) == 1
    del other
    assert subject.objects_left(manager) == 0


def test_debug_info(manager):
    assert manager._debug_info() == ""
    keep = [manager.list(range(100)), manager.dict(a=1), manager.Value("i", 7)]
    lines = manager._debug_info().split("\n")
    assert len(lines) == 2 * len(keep)
    idents = []
    for head, text in zip(lines[::2], lines[1::2]):
        match = re.fullmatch(r"  ([0-9a-f]+):       refcount=(\d+)", head)
        assert match and int(match.group(2)) >= 1
        idents.append(match.group(1))
        assert text[:4] == "    "
    assert idents == sorted(idents)
    assert sorted(idents) == sorted(proxy._id for proxy in keep)
    texts = {ident: text[4:] for ident, text in zip(idents, lines[1::2])}
    for proxy in keep:
        assert texts[proxy._id] == str(proxy)[:75]


def test_a_manager_cannot_be_pickled(manager):
    with pytest.raises(TypeError):
        pickle.dumps(manager)


def test_errors_of_construction_are_remote_errors(manager):
    with pytest.raises(managers.RemoteError, match="TypeError: 'int' object is not iterable"):
        manager.list(5)
    with pytest.raises(managers.RemoteError, match="TypeError"):
        manager.list([1], [2])
    with pytest.raises(managers.RemoteError, match="TypeError"):
        manager.dict(5)
    with pytest.raises(managers.RemoteError, match="TypeError"):
        manager.Value("i")
    with pytest.raises(managers.RemoteError, match="TypeError: an integer is required|TypeError"):
        manager.Array("i", ["text"])
    with pytest.raises(managers.RemoteError, match="ValueError: bad typecode"):
        manager.Array("?", [])
    assert manager.list([1])[:] == [1]


def test_register_checks_names():
    class Own(managers.BaseManager):
        pass

    with pytest.raises(AssertionError, match="1 is not a string"):
        Own.register("typeid", list, method_to_typeid={1: "list"})


def test_register_is_inherited_and_not_shared():
    class Own(managers.SyncManager):
        pass

    Own.register("shopping", list, managers.ListProxy)
    assert hasattr(Own, "shopping") and not hasattr(managers.SyncManager, "shopping")
    assert Own.shopping.__name__ == "shopping"
    assert "shopping" in Own._registry and "shopping" not in managers.SyncManager._registry


@pytest.mark.skipif(subject.IS_STOCK and sys.version_info < (3, 11), reason="keyword since 3.11")
def test_shutdown_timeout():
    with managers.SyncManager(ctx=FORK, shutdown_timeout=5.0) as manager:
        assert manager._shutdown_timeout == 5.0
        assert manager.list([1])[:] == [1]
    with pytest.raises(TypeError):
        managers.SyncManager(None, None, "pickle", FORK, 5.0)


def test_daemonic_processes_have_no_managers(processes):
    assert (
        processes.run(FORK, start_as_daemon)
        == "daemonic processes are not allowed to have children"
    )


def start_as_daemon():
    multiprocessing.current_process()._config["daemon"] = True
    try:
        managers.SyncManager(ctx=FORK).start()
    except AssertionError as problem:
        return str(problem)
    return "started"
