"""Shared objects in programs of asyncio: what waits is awaited.

::

    import coheld.aio

    async with coheld.aio.Manager() as manager:
        queue = manager.Queue()
        await queue.put(1)
        await queue.get()

`wrap` makes such a view of any proxy. The views go to other processes as proxies do, and those
who await share the objects with those who block, with other loops and with Rust.

No thread waits for a task: all tasks of a loop that wait for the same have one place in the line
of the object, and one thread of the process sleeps for all places in the memory of a manager.
Nothing is taken before its task runs, so one that is cancelled loses nothing.
"""

from ._acquirer import AcquirerView
from ._barrier import BarrierView
from ._condition import ConditionView
from ._event import EventView
from ._manager import Manager, SyncManager
from ._queue import QueueView
from ._view import View
from ._wrapping import CallView, wrap

__all__ = [
    "AcquirerView",
    "BarrierView",
    "CallView",
    "ConditionView",
    "EventView",
    "Manager",
    "QueueView",
    "SyncManager",
    "View",
    "wrap",
]

for _class in (
    AcquirerView,
    BarrierView,
    CallView,
    ConditionView,
    EventView,
    QueueView,
    SyncManager,
    View,
):
    # Pickles name them by the module that programs import them from.
    _class.__module__ = __name__
del _class
