"""Two machines with a cable between them: network namespaces of this one.

Where the platform does not allow them, or with COHELD_MACHINES=loopback, both machines are this
one, and processes of the second are kept from the memory of managers by a variable of the
environment.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import socket
import traceback
from typing import NamedTuple

from conftest import die_with_parent
from netlink import Netlink

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_DEVICE = "cable"
_ADDRESSES = (("10.77.0.1", "fd77::1"), ("10.77.0.2", "fd77::2"))

_libc = ctypes.CDLL(None, use_errno=True)


def _call(function, *arguments) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function.__name__}: {os.strerror(number)}")


class Machine(NamedTuple):
    """Where processes can be: a network namespace, in a user namespace of its own or not."""

    address: str
    address6: str | None
    """None: there is no IPv6."""
    keeper: int | None
    """The process that keeps the namespaces; None: they are those of this process."""
    has_users: bool
    is_kept_from_memory: bool

    def enter(self) -> None:
        """Move this process there. It has only one thread as yet."""
        if self.is_kept_from_memory:
            os.environ["COHELD_ROUTE"] = "wire"
        if self.keeper is None:
            return
        kinds = (("user", _NEW_USER), ("net", _NEW_NETWORK))
        for kind, flag in kinds[not self.has_users :]:
            with open(f"/proc/{self.keeper}/ns/{kind}") as namespace:
                _call(_libc.setns, namespace.fileno(), flag)

    def run(self, function, *arguments):
        """Move this process there and call a function; what it raises has its traceback as text."""
        self.enter()
        try:
            return function(*arguments)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}\n{traceback.format_exc()}") from None


class Network:
    """The two machines: managers are on `near`, clients on `far`. Ends with the object."""

    def __init__(self) -> None:
        self.why_not = ""
        self._start(os.geteuid() != 0)

    def _start(self, has_users: bool) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._keeper = context.Process(target=_keep, args=(theirs, has_users))
        self._keeper.start()
        theirs.close()
        try:
            keepers, has_ipv6 = self._receive()
        except OSError as error:
            self.why_not = str(error)
            keepers, has_ipv6, has_users = (None, None), socket.has_ipv6, False
        addresses = _ADDRESSES if keepers[0] else (("127.0.0.1", "::1"),) * 2
        self.near, self.far = (
            Machine(address, address6 if has_ipv6 else None, keeper, has_users, is_kept)
            for (address, address6), keeper, is_kept in zip(
                addresses, keepers, (False, not keepers[0])
            )
        )

    def _receive(self):
        answer = self._pipe.recv()
        if isinstance(answer, str):
            raise OSError(answer)
        return answer

    def cut(self) -> None:
        """Nothing gets through any more."""
        self._switch(False)

    def mend(self) -> None:
        """Everything gets through again."""
        self._switch(True)

    def _switch(self, is_up: bool) -> None:
        self._pipe.send(is_up)
        self._receive()

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *exception) -> None:
        # The process of the far machine goes with the near one's.
        self._keeper.kill()
        self._keeper.join()
        self._pipe.close()


def _keep(pipe, has_users: bool) -> None:
    """A process that is the near machine, with a child that is the far one."""
    try:
        if os.environ.get("COHELD_MACHINES") == "loopback":
            raise OSError("COHELD_MACHINES says so")
        answer = _make_machines(has_users)
    except OSError as error:
        answer = str(error)
    pipe.send(answer)
    with contextlib.suppress(EOFError):
        while True:
            is_up = pipe.recv()
            try:
                with Netlink() as netlink:
                    netlink.set_up(_DEVICE, is_up)
                if is_up:
                    # Such an address is lost with the device that has it.
                    _add_ipv6(0)
                pipe.send((None, None))
            except OSError as error:
                pipe.send(str(error))


def _make_machines(has_users: bool):
    """Make both; the processes that keep them, and whether they have IPv6."""
    user, group = os.geteuid(), os.getegid()
    _call(_libc.unshare, (_NEW_USER if has_users else 0) | _NEW_NETWORK)
    # Some of what was asked of the kernel before is forgotten now.
    die_with_parent()
    if has_users:
        _map_ids(user, group)
    requests, replies = multiprocessing.Pipe(), multiprocessing.Pipe()
    far = os.fork()
    if far == 0:
        _keep_far(requests[1], replies[1])
    _expect(replies[0])
    with Netlink() as netlink:
        netlink.make_pair(_DEVICE, far)
    requests[0].send("configure")
    has_ipv6 = _configure(0)
    _expect(replies[0])
    return (os.getpid(), far), has_ipv6


def _expect(pipe) -> None:
    problem = pipe.recv()
    if problem:
        raise OSError(problem)


def _keep_far(requests, replies) -> None:
    """The process that is the far machine, until its parent ends."""
    try:
        die_with_parent()
        _call(_libc.unshare, _NEW_NETWORK)
        replies.send(None)
        requests.recv()
        _configure(1)
        replies.send(None)
        while True:
            signal.pause()
    except OSError as error:
        replies.send(str(error))
    finally:
        os._exit(1)


def _configure(place: int) -> bool:
    """Give this machine its addresses. Whether it has got one of IPv6."""
    with Netlink() as netlink:
        netlink.set_up("lo")
        netlink.set_up(_DEVICE)
        netlink.add_address(_DEVICE, _ADDRESSES[place][0], 24)
    return _add_ipv6(place)


def _add_ipv6(place: int) -> bool:
    try:
        with Netlink() as netlink:
            netlink.add_address(_DEVICE, _ADDRESSES[place][1], 64)
    except FileExistsError:
        return True
    except OSError:
        return False
    return True


def _map_ids(user: int, group: int) -> None:
    """Be the same user in the user namespace as outside."""
    for name, content in (
        ("uid_map", f"{user} {user} 1"),
        ("setgroups", "deny"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)
