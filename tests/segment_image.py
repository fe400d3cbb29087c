"""A copy of the memory of a manager, and damage done to it. Its offsets are in docs/layout.md.

The copy is a memory file of the calling process, so `coheld doctor --pid` can look at it.
"""

from __future__ import annotations

import fcntl
import os
import struct

PAGE = 64 * 1024
MEMBERS = 0x2000
REFERENT = 256
OFFSETS = 0x0000_FFFF_FFFF_FFF0

# The classes of blocks, in bytes.
CLASSES = [256, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896]
CLASSES += [1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192, 10912]
CLASSES += [16384, 21840, 32768]

SEALS = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


def descriptor_of(segment_id):
    """The descriptor by which this process, a member, has a segment open; it must not be closed."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("/memfd:coheld"):
                continue
        except FileNotFoundError:
            continue
        if os.pread(int(name), 16, 0x38).hex() == segment_id:
            return int(name)
    raise LookupError(f"this process has no segment {segment_id}")


def read(segment_id):
    """The bytes of a segment of which this process is a member."""
    descriptor = descriptor_of(segment_id)
    size, parts, at = os.fstat(descriptor).st_size, [], 0
    while at < size:
        part = os.pread(descriptor, size - at, at)
        parts.append(part)
        at += len(part)
    return b"".join(parts)


class Image:
    """A copy in a memory file of its own.

    It is not mapped here: a process that has it mapped is taken for the member of its number.
    """

    def __init__(self, content: bytes) -> None:
        self.descriptor = os.memfd_create("coheld", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        at = 0
        while at < len(content):
            at += os.pwrite(self.descriptor, content[at:], at)
        # The record locks of the members are not copied, so all of them are dead.
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, SEALS)
        limit, lanes = struct.unpack_from("<II", content, 0x20)

        def up(number, step):
            return -(-number // step) * step

        pages = len(content) // PAGE
        lane_table = up(MEMBERS + 128 * limit, 4096)
        waiters = up(lane_table + 512 * limit * lanes, 4096)
        self.page_table = up(waiters + 64 * 16 * limit, 4096)
        self.bitmaps = up(self.page_table + 32 * pages, 4096)
        self.heap = up(self.bitmaps + 256 * pages, PAGE)

    def get(self, at: int) -> int:
        return struct.unpack("<Q", os.pread(self.descriptor, 8, at))[0]

    def put(self, at: int, word: int) -> None:
        os.pwrite(self.descriptor, struct.pack("<Q", word), at)

    def block_of(self, referent: int) -> int:
        """The block that is the root of a referent."""
        return self.get(referent + 0x18) & OFFSETS

    def leak(self) -> int:
        """Mark a free block as used, which nobody owns then; its place."""
        for page in range(self.get(0x90)):
            state = self.get(self.page_table + 32 * page)
            kind, size_class = state & 0xFF, state >> 8 & 0xFF
            bits = self.get(self.bitmaps + 256 * page)
            if kind == 2 and size_class != 0 and bits & 0xFF != 0xFF:
                free = next(bit for bit in range(8) if not bits >> bit & 1)
                if (free + 1) * CLASSES[size_class] > PAGE:
                    continue
                self.put(self.bitmaps + 256 * page, bits | 1 << free)
                return self.heap + PAGE * page + free * CLASSES[size_class]
        raise LookupError("no page has a free block among its first ones")

    def member(self, slot: int) -> int:
        return MEMBERS + 128 * slot

    def tag(self, slot: int) -> int:
        return (self.get(self.member(slot)) >> 8) << 10 | slot

    def close(self) -> None:
        os.close(self.descriptor)
