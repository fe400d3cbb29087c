"""Blocks of shared memory that others have made, or that others are to find."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import _posixshmem
import mmap
import os
import sys
from multiprocessing.shared_memory import SharedMemory


class Attached(SharedMemory):
    """A block that somebody else has made, and will remove.

    Before Python 3.13, whoever opens a block is taken for the one that has to remove it: the
    resource tracker notes its name. To have that taken back would not do, because the tracker may
    be that of the process that made the block, too, and knows each name once.
    """

    def __init__(self, name):
        if sys.version_info >= (3, 13):
            super().__init__(name=name, track=False)
            return
        self._name = "/" + name
        self._fd = _posixshmem.shm_open(self._name, os.O_RDWR, mode=0o600)
        self._size = os.fstat(self._fd).st_size
        try:
            self._mmap = mmap.mmap(self._fd, self._size)
        except BaseException:
            self.close()
            raise
        self._buf = memoryview(self._mmap)

    def __reduce__(self):
        return attach, (self.name,)

    def unlink(self):
        """Remove the name of the block, for whoever does so although it has another owner."""
        _posixshmem.shm_unlink(self._name)


def attach(name):
    """Open a block that somebody else has made, and will remove."""
    return Attached(name)


def make(name, size):
    """Make a block, which this process removes."""
    return SharedMemory(name=name, create=True, size=size)


def remove(block):
    """Remove a block of this process, unless that has been done."""
    block.close()
    try:
        block.unlink()
    except FileNotFoundError:
        pass
