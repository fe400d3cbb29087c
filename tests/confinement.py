"""What a system may refuse a process: filters of system calls, limits, namespaces, groups.

All of it is for a child process that a test has started: none of it can be taken back.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_libc = ctypes.CDLL(None, use_errno=True)

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
# Instructions of a filter: load a word, keep some bits of it, compare and jump, return.
_LOAD, _AND, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06

#: Numbers of system calls.
_NUMBERS = {
    "x86_64": {"memfd_create": 319, "mmap": 9, "openat": 257, "open": 2, "recvmsg": 47},
    "aarch64": {"memfd_create": 279, "mmap": 222, "openat": 56, "recvmsg": 212},
}.get(platform.machine(), {})

#: What to forbid: a system call, the argument that matters or None, bits that it has to have.
MEMORY_FILES = (("memfd_create", None, 0),)
NAMELESS_FILES = (("openat", 2, os.O_TMPFILE), ("open", 1, os.O_TMPFILE))
#: Segments are mapped as MAP_SHARED | MAP_NORESERVE, and nothing else is.
SHARED_MAPPINGS = (("mmap", 3, 0x4001),)
#: By which descriptors come from other processes.
RECEIVED_FILES = (("recvmsg", None, 0),)

NEW_PIDS, NEW_MOUNTS, NEW_TIME = 0x20000000, 0x00020000, 0x00000080


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def forbid(*rules, number: int = errno.EPERM) -> None:
    """Have the kernel refuse system calls to this process and its children, for ever."""
    text = b""
    for name, argument, bits in rules:
        if name not in _NUMBERS:
            continue
        text += _instruction(_LOAD, 0)
        if argument is None:
            text += _instruction(_JUMP_IF_EQUAL, _NUMBERS[name], 0, 1)
        else:
            text += _instruction(_JUMP_IF_EQUAL, _NUMBERS[name], 0, 4)
            # The lower half of an argument of 8 bytes, after 16 bytes of other things.
            text += _instruction(_LOAD, 16 + 8 * argument)
            text += _instruction(_AND, bits)
            text += _instruction(_JUMP_IF_EQUAL, bits, 0, 1)
        text += _instruction(_RETURN, _REFUSE | number)
    text += _instruction(_RETURN, _ALLOW)
    instructions = ctypes.create_string_buffer(text, len(text))
    program = struct.pack("HxxxxxxP", len(text) // 8, ctypes.addressof(instructions))
    program = ctypes.create_string_buffer(program, len(program))
    _check("prctl", _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    address = ctypes.c_void_p(ctypes.addressof(program))
    _check("prctl", _libc.prctl(_SET_SECCOMP, _FILTER_MODE, address, 0, 0))


def _check(name: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def unshare(kinds: int) -> None:
    """Give this process, or its children, namespaces of their own."""
    _check("unshare", _libc.unshare(kinds))


def see_own_processes() -> None:
    """Mount a /proc of the pid namespace that this process, the first one in it, is in."""
    unshare(NEW_MOUNTS)
    private, recursive = 1 << 18, 1 << 14
    _check("mount", _libc.mount(b"none", b"/", None, private | recursive, None))
    _check("mount", _libc.mount(b"proc", b"/proc", b"proc", 0, None))


def in_child(function, *arguments) -> str:
    """Run a function in a forked child; an empty text, or what it raised."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = "it was ended"
        try:
            os.close(reader)
            function(*arguments)
            text = ""
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        finally:
            os.write(writer, text.encode() or b"\0")
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        answer = answers.read().decode()
    os.waitpid(pid, 0)
    return "" if answer == "\0" else answer or "it was ended by a signal"


def why_no_filters() -> str:
    """Why this machine has no filters of system calls; empty if it has."""
    if not _NUMBERS:
        return f"the numbers of system calls of {platform.machine()} are not known to this test"

    def attempt():
        forbid(*MEMORY_FILES)
        try:
            os.close(os.memfd_create("test"))
        except PermissionError:
            return
        raise OSError("a filter was installed and does nothing")

    return in_child(attempt)


def set_next_pid(pid: int) -> None:
    """Have the next process of this pid namespace get this number."""
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(pid - 1))


def set_clocks_ahead(seconds: int) -> None:
    """Set the clocks of the time namespace that this process has made for its children."""
    with open("/proc/self/timens_offsets", "w") as offsets:
        offsets.write(f"monotonic {seconds} 0\nboottime {seconds} 0\n")


def why_no_pid_namespaces() -> str:
    """Why this process may not make pid namespaces with a /proc; empty if it may."""

    def attempt():
        unshare(NEW_PIDS)
        # In a child, which is the first process there.
        problem = in_child(lambda: (see_own_processes(), set_next_pid(300)))
        if problem:
            raise OSError(problem)

    return in_child(attempt)


def why_no_time_namespaces() -> str:
    """Why this process may not make time namespaces; empty if it may."""
    return in_child(lambda: (unshare(NEW_TIME), set_clocks_ahead(1)))
