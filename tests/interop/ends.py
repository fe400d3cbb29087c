"""What both ends of a connection have to agree on: addresses as text, and what is registered."""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import json
import signal
import sys

import things

SUBJECTS = ("stock", "coheld")

#: The version of Python whose manager has all that Coheld's has.
NEWEST = (3, 14)


def import_managers(subject):
    """The module under test, or the standard library's."""
    if subject == "coheld":
        import coheld.managers as managers
    else:
        import multiprocessing.managers as managers
    return managers


def address_to_json(address):
    """An address as JSON can carry it."""
    if isinstance(address, tuple):
        return {"tcp": list(address)}
    if isinstance(address, bytes):
        return {"bytes": address.hex()}
    return {"path": address}


def address_from_json(value):
    """The inverse of `address_to_json`."""
    if "tcp" in value:
        return tuple(value["tcp"])
    if "bytes" in value:
        return bytes.fromhex(value["bytes"])
    return value["path"]


def parser(description):
    """The arguments that both programs have."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("subject", choices=SUBJECTS)
    arguments.add_argument("--address", required=True, type=json.loads)
    arguments.add_argument("--key", default=b"key of the interop tests", type=bytes.fromhex)
    arguments.add_argument("--no-own-key", action="store_true", help="the manager alone has it")
    arguments.add_argument("--serializer", default="pickle")
    arguments.add_argument("--seconds", default=60.0, type=float, help="what it may take")
    return arguments


def watch(seconds):
    """Have this process end with its parent, and with a trace when it takes too long."""
    faulthandler.enable()
    faulthandler.dump_traceback_later(seconds, exit=True)
    die_with_parent()


def die_with_parent():
    """Have the kernel kill this process when the one that started it is gone."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def tell(**line):
    """Write one line of JSON."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def served(managers):
    """The manager class of a server, with everything that clients ask for."""

    class Served(managers.SyncManager):
        pass

    things.define_proxies(managers)
    if not hasattr(Served, "set"):
        Served.register("set", set, things.SetProxy)
    Served.register(
        "Counter",
        things.Counter,
        method_to_typeid={
            "ticks": "Iterator",
            "child": "Child",
            "copied": "list",
            "shared": "SharedList",
        },
    )
    Served.register("Child", create_method=False)
    Served.register("SharedList", proxytype=managers.ListProxy, create_method=False)
    Served.register("Few", things.Counter, exposed=("add", "_hidden"))
    Served.register("Attributes", things.Counter, proxytype=things.CounterProxy)
    Served.register("Failing", things.Failing)
    Served.register("Bare")
    Served.register("BareList", proxytype=managers.ListProxy)
    Served.register("Ticks", things.ticks, proxytype=managers.IteratorProxy)
    Served.register("get_queue", callable=lambda: things.QUEUE)
    Served.register("get_dict", callable=lambda: things.DICT, proxytype=managers.DictProxy)
    Served.register("get_counter", callable=lambda: things.COUNTER)
    return Served


def connecting(managers):
    """The manager class of a client: it knows names and proxy types, and no callables."""

    class Connecting(managers.SyncManager):
        pass

    things.define_proxies(managers)
    if not hasattr(Connecting, "set"):
        Connecting.register("set", proxytype=things.SetProxy)
    for name in ("Counter", "Child", "Few", "Failing", "Bare", "get_queue", "get_counter"):
        Connecting.register(name)
    Connecting.register("SharedList", proxytype=managers.ListProxy)
    Connecting.register("BareList", proxytype=managers.ListProxy)
    Connecting.register("Attributes", proxytype=things.CounterProxy)
    Connecting.register("Ticks", proxytype=managers.IteratorProxy)
    Connecting.register("get_dict", proxytype=managers.DictProxy)
    Connecting.register("nobody_has_this")
    return Connecting
