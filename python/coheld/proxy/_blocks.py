"""Blocks of shared memory that others have made, or that others are to find."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory


def attach(name):
    """Open a block that somebody else has made, and will remove."""
    if sys.version_info >= (3, 13):
        return SharedMemory(name=name, track=False)
    block = SharedMemory(name=name)
    # Before 3.13, whoever opens a block is taken for the one that has to remove it.
    resource_tracker.unregister(block._name, "shared_memory")
    return block


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
