"""`wrap`: the awaitable view of a proxy, and that of an object which is called."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from .. import _coheld
from .._coheld import (
    AcquirerProxy,
    BarrierProxy,
    BaseProxy,
    ConditionProxy,
    EventProxy,
    QueueProxy,
)
from ._acquirer import AcquirerView
from ._barrier import BarrierView
from ._condition import ConditionView
from ._event import EventView
from ._polling import call
from ._queue import QueueView
from ._view import View

#: The more special class comes first.
_VIEWS = (
    (QueueProxy, QueueView),
    (ConditionProxy, ConditionView),
    (AcquirerProxy, AcquirerView),
    (EventProxy, EventView),
    (BarrierProxy, BarrierView),
)


def wrap(proxy):
    """Return an awaitable view of a proxy.

    Queues, locks, semaphores, events, conditions and barriers have their waiting methods awaited;
    the others are as those of the proxy. Lists, dicts and what else is in the memory of this
    process and never waits is returned as it is. Of any other object all methods are awaited.
    """
    if isinstance(proxy, View):
        return proxy
    if not isinstance(proxy, BaseProxy):
        raise TypeError(f"only the proxy of a shared object can be awaited, not {type(proxy)}")
    for proxy_class, view_class in _VIEWS:
        if isinstance(proxy, proxy_class):
            return view_class(proxy)
    if _coheld.waited_place(proxy, "get") is not None:
        return proxy
    return CallView(proxy)


class CallView(View):
    """An object of another process, whose methods are awaited.

    Each call is made by a thread, of which there is a bounded number. A call that is not awaited
    any more goes on.
    """

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        method = getattr(self._proxy, name)

        async def awaited(*args, **kwds):
            result = await call(method, *args, **kwds)
            return wrap(result) if isinstance(result, BaseProxy) else result

        awaited.__name__ = awaited.__qualname__ = name
        awaited.__doc__ = getattr(method, "__doc__", None)
        return awaited
