"""`SyncManager` and `Manager`: a manager whose objects are awaited."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import asyncio

from .. import managers
from ._polling import call, submit
from ._wrapping import wrap


class SyncManager:
    """A manager of awaitable objects: ``async with SyncManager() as manager``.

    The parameters are those of `coheld.managers.SyncManager`, which *manager* is one of. Each of
    its methods that makes an object is one here that makes a view of it, without waiting as long as
    the object lies in shared memory; `create` makes any object, and is awaited.
    """

    _manager_class = managers.SyncManager

    def __init__(self, *args, **kwds):
        self.manager = self._manager_class(*args, **kwds)

    @classmethod
    def register(cls, typeid, *args, **kwds):
        """Register a type with the manager class, as `coheld.managers.SyncManager.register`."""
        if "_manager_class" not in cls.__dict__:
            cls._manager_class = type(cls.__name__, (cls._manager_class,), {})
        cls._manager_class.register(typeid, *args, **kwds)

    @property
    def address(self):
        """The address of the manager process."""
        return self.manager.address

    async def start(self, initializer=None, initargs=()):
        """Start the manager process."""
        started = submit(self.manager.start, initializer, initargs)
        try:
            await asyncio.wrap_future(started)
        except asyncio.CancelledError:
            # It may be too late to keep it from starting.
            started.add_done_callback(self._end)
            raise

    def _end(self, started):
        if not started.cancelled() and started.exception() is None:
            self.manager.shutdown()

    async def connect(self):
        """Connect to the manager process at the address."""
        await call(self.manager.connect)

    async def shutdown(self):
        """Stop the manager process that was started."""
        stop = getattr(self.manager, "shutdown", None)
        if stop is not None:
            # Also if nobody waits for it any more.
            await asyncio.shield(asyncio.wrap_future(submit(stop)))

    async def create(self, typeid, *args, **kwds):
        """Create a shared object of any registered type and return a view of it."""
        return wrap(await call(getattr(self.manager, typeid), *args, **kwds))

    async def __aenter__(self):
        if self.manager._state.value == managers.State.INITIAL:
            await self.start()
        else:
            self.manager.__enter__()
        return self

    async def __aexit__(self, exc_type, exc_val, exc_tb):
        await self.shutdown()

    def __getattr__(self, name):
        if name.startswith("_") or name not in self._manager_class._registry:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        make = getattr(self.manager, name)

        def create(*args, **kwds):
            return wrap(make(*args, **kwds))

        create.__name__ = create.__qualname__ = name
        create.__doc__ = make.__doc__
        return create


def Manager(*, ctx=None, capacity=None, owner_died="warn", call_timeout=None):
    """Return a `SyncManager` that starts with ``async with``.

    The parameters are those of `coheld.Manager`.
    """
    return SyncManager(ctx=ctx, capacity=capacity, owner_died=owner_died, call_timeout=call_timeout)
