"""The manager of blocks of shared memory: `multiprocessing.shared_memory` objects with an end."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import os
from multiprocessing import resource_tracker, shared_memory, util
from multiprocessing.context import ProcessError
from multiprocessing.managers import State, _SharedMemoryTracker

from ._manager import BaseManager
from ._serving import Server


class SharedMemoryServer(Server):
    """A server that also remembers blocks of shared memory, and unlinks them at its end."""

    public = [*Server.public, "track_segment", "release_segment", "list_segments"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        address = self.address
        if isinstance(address, bytes):
            address = os.fsdecode(address)
        self.shared_memory_context = _SharedMemoryTracker(f"shm_{address}_{os.getpid()}", [])
        util.debug("SharedMemoryServer started by pid %s", os.getpid())

    def create(self, c, typeid, /, *args, **kwargs):
        """Create a shared object. Some are told of the blocks of shared memory."""
        if hasattr(self.registry[typeid][-1], "_shared_memory_proxy"):
            kwargs["shared_memory_context"] = self.shared_memory_context
        return super().create(c, typeid, *args, **kwargs)

    def _close(self):
        self.shared_memory_context.unlink()
        super()._close()

    def track_segment(self, c, segment_name):
        """Remember a block of shared memory."""
        self.shared_memory_context.register_segment(segment_name)

    def release_segment(self, c, segment_name):
        """Unlink a block of shared memory and forget it."""
        self.shared_memory_context.destroy_segment(segment_name)

    def list_segments(self, c):
        """Return the names of the blocks of shared memory that are remembered."""
        return self.shared_memory_context.segment_names


class SharedMemoryManager(BaseManager):
    """A manager of blocks of ``multiprocessing.shared_memory``, which are unlinked with its end."""

    _Server = SharedMemoryServer

    def __init__(self, *args, **kwargs):
        # Before the manager process is there: both have to use the same tracker.
        resource_tracker.ensure_running()
        super().__init__(*args, **kwargs)
        util.debug("%s created by pid %s", type(self).__name__, os.getpid())

    def __del__(self):
        util.debug("%s.__del__ by pid %s", type(self).__name__, os.getpid())

    def get_server(self):
        """Return a server with the attribute ``address`` and the method ``serve_forever()``."""
        if self._state.value == State.STARTED:
            raise ProcessError("Already started SharedMemoryServer")
        if self._state.value == State.SHUTDOWN:
            raise ProcessError("SharedMemoryManager has shut down")
        return self._make_server(self._Server)

    def SharedMemory(self, size):
        """Return a new block of shared memory of so many bytes, which ends with the manager."""
        block = shared_memory.SharedMemory(None, create=True, size=size)
        self._track(block)
        return block

    def ShareableList(self, sequence):
        """Return a new `ShareableList` of the items, which ends with the manager."""
        shareable = shared_memory.ShareableList(sequence)
        self._track(shareable.shm)
        return shareable

    def _track(self, block):
        try:
            self._call("track_segment", (block.name,))
        except BaseException:
            block.unlink()
            raise
