"""Tokens, keys, strangers and segments that are full: a clear error, nothing lost, nobody stuck."""

from __future__ import annotations

import multiprocessing
import pickle
import socket

import marks
import pytest
import subject
from subject import managers

FORK = multiprocessing.get_context("fork")
MEBIBYTE = 1 << 20


# Tokens.


def rebuilt(token, key=None):
    """Unpickle a list proxy for a token, as a process does that was handed it."""
    return managers.RebuildProxy(
        managers.ListProxy, token, "pickle", {"authkey": key} if key else {}
    )


def test_token_of_nothing(manager):
    token = managers.Token("list", manager.address, "7f0000000000")
    with pytest.raises(managers.RemoteError):
        rebuilt(token)


def test_token_of_a_referent_that_is_gone(manager):
    shared = manager.list([1])
    token = pickle.loads(pickle.dumps(shared._token))
    del shared
    assert subject.objects_left(manager) == 0
    keep = manager.list(["another one, perhaps at the same place"])
    with pytest.raises(managers.RemoteError):
        # The stock manager may reuse the number, and then nobody can tell; Coheld must not.
        if subject.IS_STOCK and keep._id == token.id:
            raise managers.RemoteError("the stock manager reused the number")
        rebuilt(token)[:]


@marks.coheld_only
@pytest.mark.parametrize(
    "ident", ["", "x", "-1", "0", "ffffffffffffffff", "f" * 1000, "7f\x00", "\u00e4", "0x10", " 10"]
)
def test_damaged_token(manager, ident):
    shared = manager.list([1])
    with pytest.raises((managers.RemoteError, ValueError)):
        rebuilt(managers.Token("list", manager.address, ident))[:]
    assert shared[:] == [1]


@marks.coheld_only
def test_every_damage_of_one_character(manager):
    """A token with one wrong character names nothing, or (by chance) the very same referent."""
    shared = manager.list(["mine"])
    ident = shared._token.id
    for position in range(len(ident)):
        for wrong in "08f":
            damaged = ident[:position] + wrong + ident[position + 1 :]
            try:
                proxy = rebuilt(managers.Token("list", manager.address, damaged))
            except (managers.RemoteError, ValueError):
                continue
            assert proxy[:] == ["mine"]
    assert shared[:] == ["mine"]


@marks.coheld_only
def test_token_with_another_type(manager):
    shared = manager.dict(a=1)
    with pytest.raises((managers.RemoteError, ValueError, TypeError)):
        rebuilt(managers.Token("list", manager.address, shared._id))[:]
    assert shared.copy() == {"a": 1}


def test_token_with_an_address_of_nobody(manager, tmp_path):
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        rebuilt(managers.Token("list", str(tmp_path / "nobody"), manager.list()._id))


# Keys and connections.


@pytest.mark.parametrize("key", [b"wrong", b"", b"k" * 100_000])
def test_wrong_key(key):
    with managers.SyncManager(authkey=b"right", ctx=FORK) as manager:
        client = managers.SyncManager(address=manager.address, authkey=key)
        with pytest.raises(multiprocessing.AuthenticationError):
            client.connect()
        assert manager.list([1])[:] == [1]


def test_attach_to_a_closed_manager():
    manager = subject.start_manager()
    shared = manager.list([1])
    token, address = shared._token, manager.address
    manager.shutdown()
    manager.join(5)
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        managers.SyncManager(address=address, authkey=manager._authkey).connect()
    if subject.IS_STOCK:
        with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
            rebuilt(token)
    with pytest.raises(AssertionError, match="server not yet started"):
        manager.list()


@marks.coheld_only
def test_noise_on_the_socket(manager):
    """Whoever can connect may send anything, or nothing, and hang up when it likes."""
    for noise in (b"", b"\x00", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 4096, b"\x7f\xff\xff\xff" * 4):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(manager.address)
            try:
                stranger.sendall(noise)
            except ConnectionError:
                pass
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(manager.address)
        assert manager.list([1])[:] == [1]
        assert manager._number_of_objects() is not None
        client = managers.SyncManager(address=manager.address)
        client.connect()
        assert client.dict(a=1).copy() == {"a": 1}


# A segment that is full.


@marks.coheld_only
@pytest.mark.timeout(120)
def test_full_segment():
    """Running out of shared memory is a MemoryError, with everything as it was before the call."""
    import coheld

    with coheld.Manager(capacity=16 * MEBIBYTE) as manager:
        shared, table = manager.list([1]), manager.dict(a=1)
        empty = manager._statistics()["bytes"]
        with pytest.raises(MemoryError, match="capacity"):
            shared.append(bytes(64 * MEBIBYTE))
        with pytest.raises(MemoryError):
            for number in range(100_000):
                table[number] = bytes(4000)
        full = len(table)
        assert full > 1000 and shared[:] == [1]
        assert sorted(table.keys(), key=str)[-1] == "a"
        for _ in range(20):
            with pytest.raises(MemoryError):
                table[f"one more {MEBIBYTE}"] = bytes(4 * MEBIBYTE)
        assert len(table) == full and table["a"] == 1
        # Reading and removing need no room.
        assert table.pop(0) == bytes(4000) and shared.pop() == 1
        table.clear()
        assert len(table) == 0
        shared.append(bytes(4 * MEBIBYTE))
        assert len(shared[0]) == 4 * MEBIBYTE
        shared.pop()
        assert subject.wait_until(lambda: manager._statistics()["bytes"] <= empty + 4096)


@marks.coheld_only
def test_full_segment_many_kinds_of_calls():
    import coheld

    with coheld.Manager(capacity=16 * MEBIBYTE) as manager:
        shared = manager.list(range(1000))
        table = manager.dict({number: number for number in range(1000)})
        keep = manager.list()
        with pytest.raises(MemoryError):
            while True:
                keep.append(bytes(MEBIBYTE))
        with pytest.raises(MemoryError):
            while True:
                keep.append(bytes(1000))
        before = shared[:], table.copy(), len(keep)
        blob = bytes(2 * MEBIBYTE)
        for attempt in (
            lambda: shared.extend([blob, blob]),
            lambda: shared.__setitem__(slice(1, 3), [blob] * 5),
            lambda: shared.insert(0, blob),
            lambda: shared.__setitem__(5, blob),
            lambda: table.update(a=1, b=blob),
            lambda: table.__setitem__(5, blob),
            lambda: table.setdefault("new", blob),
            lambda: table.__ior__({"b": blob}),
            lambda: manager.list([blob]),
        ):
            with pytest.raises(MemoryError):
                attempt()
        assert (shared[:], table.copy(), len(keep)) == before


@marks.coheld_only
@pytest.mark.parametrize("capacity", [0, -1, 1, 2**64, "16 MiB", None, 1.5])
def test_capacity_that_makes_no_sense(capacity):
    import coheld

    if capacity is None:
        with coheld.Manager(capacity=None) as manager:
            assert manager.list([1])[:] == [1]
        return
    with pytest.raises((TypeError, ValueError, OverflowError)):
        coheld.Manager(capacity=capacity)


def test_a_key_of_very_deep_tuples(manager):
    shared = manager.dict()
    key = ()
    for _ in range(100_000):
        key = (key,)
    with pytest.raises(RecursionError):
        shared[key] = 1
    with pytest.raises(RecursionError):
        key in shared  # noqa: B015
    assert len(shared) == 0
    # Taken apart from the outside: freeing it at once may be too deep for old versions of Python.
    while key:
        (key,) = key
