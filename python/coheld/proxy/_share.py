"""Sharing an object without a server of one's own."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import os
import threading

from ._description import describe
from ._exposure import Exposure
from ._proxy import SharedProxy, make_proxy

_lock = threading.Lock()
_domain = None


def default_domain():
    """What the objects are in that no server has."""
    from ._home import new_domain

    global _domain
    with _lock:
        if _domain is None or _domain.process != os.getpid():
            _domain = new_domain()
        return _domain


def share_as(flavour, target, exposed=None, readonly=False):
    """Return a proxy of an object of this process."""
    domain = default_domain()
    exposure = Exposure(exposed, readonly)
    record = domain.record_of(target, exposure)
    if exposed is not None or readonly:
        record.expose(exposure)
    return make_proxy(flavour, domain.reference(record), describe(target, record.exposure))


def share(target, *, exposed=None, readonly=False):
    """Return a proxy through which other processes use an object of this process.

    The object stays here; the proxy goes into child processes of every start method, through
    queues and pipes, into arguments of other proxies. It lives as long as a proxy of it, at least.
    *exposed* names what may be used of it; by default that is everything whose name does not
    begin with an underscore, and all special methods. *readonly* forbids to set or delete anything.
    """
    return share_as(SharedProxy, target, exposed, readonly)


def _forget():
    global _domain, _lock
    _domain = None
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget)
