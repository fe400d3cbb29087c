"""The few requests to the kernel's network (rtnetlink) that two connected machines need."""

from __future__ import annotations

import os
import socket
import struct

_NEWLINK, _NEWADDRESS = 16, 20
_REQUEST, _ACKNOWLEDGE, _CREATE, _EXCLUSIVE = 1, 4, 0x400, 0x200
_ERROR = 2
_NAME, _LINK_INFO, _NAMESPACE_OF_PROCESS = 3, 18, 19
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_ADDRESS, _LOCAL, _FLAGS = 1, 2, 8
#: An address is used at once, without asking the others first whether it is theirs.
_NO_DUPLICATE_DETECTION = 0x02
_UP = 1


def _attribute(kind: int, content: bytes) -> bytes:
    length = 4 + len(content)
    return struct.pack("=HH", length, kind) + content + bytes(-length % 4)


def _link(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


class Netlink:
    """A connection to the network of the namespace that this process is in."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *exception) -> None:
        self._socket.close()

    def _ask(self, kind: int, flags: int, content: bytes) -> None:
        length = 16 + len(content)
        flags |= _REQUEST | _ACKNOWLEDGE
        self._socket.send(struct.pack("=IHHII", length, kind, flags, 1, 0) + content)
        reply = self._socket.recv(1 << 16)
        _length, answered, _flags, _number, _port = struct.unpack_from("=IHHII", reply)
        error = struct.unpack_from("=i", reply, 16)[0] if answered == _ERROR else 0
        if error:
            raise OSError(-error, os.strerror(-error))

    def make_pair(self, name: str, process: int) -> None:
        """Make two connected devices of that name: here, and where a process is."""
        named = _attribute(_NAME, name.encode() + b"\0")
        there = _attribute(_NAMESPACE_OF_PROCESS, struct.pack("=I", process))
        peer = _attribute(_VETH_PEER, _link() + named + there)
        information = _attribute(_INFO_KIND, b"veth") + _attribute(_INFO_DATA, peer)
        content = _link() + named + _attribute(_LINK_INFO, information)
        self._ask(_NEWLINK, _CREATE | _EXCLUSIVE, content)

    def set_up(self, name: str, is_up: bool = True) -> None:
        """Switch a device on or off."""
        index = socket.if_nametoindex(name)
        self._ask(_NEWLINK, 0, _link(index, _UP if is_up else 0, _UP))

    def add_address(self, name: str, address: str, prefix: int) -> None:
        """Give a device an address of a network."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        number = socket.inet_pton(family, address)
        index = socket.if_nametoindex(name)
        content = struct.pack("=BBBBI", family, prefix, 0, 0, index)
        content += _attribute(_LOCAL, number) + _attribute(_ADDRESS, number)
        content += _attribute(_FLAGS, struct.pack("=I", _NO_DUPLICATE_DETECTION))
        self._ask(_NEWADDRESS, _CREATE | _EXCLUSIVE, content)
