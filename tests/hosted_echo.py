"""An object of the manager process that tells what it was given, and where it is.

A module of its own, because the processes of managers and children import it too.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from subject import managers


class Echo:
    """An object of the manager process that tells what it was given, and where it is."""

    def __init__(self):
        self.kept = None
        self.calls = 0

    def same(self, value):
        return value

    def both(self, *args, **kwds):
        return args, kwds

    def describe(self, *args):
        return [(type(arg).__name__, repr(arg)[:80]) for arg in args]

    def length(self, value):
        return len(value)

    def make(self, size):
        return b"x" * size

    def sleep(self, seconds, value=None):
        time.sleep(seconds)
        return value

    def count(self):
        self.calls += 1
        return self.calls

    def process(self):
        return os.getpid()

    def thread(self):
        return threading.get_ident()

    def thread_is_known(self):
        return threading.current_thread() in threading.enumerate()

    def local(self, value=None):
        if value is not None:
            LOCAL.value = value
        return getattr(LOCAL, "value", None)

    def keep(self, proxy):
        self.kept = proxy

    def call_kept(self, method, *args):
        return getattr(self.kept, method)(*args)

    def append(self, items):
        items.append("changed by the method")
        return items

    def leave(self, code):
        sys.exit(code)

    def raise_kind(self, kind, *args):
        raise kind(*args)


LOCAL = threading.local()
ONE = Echo()


class Loud:
    """Calls a proxy when it is dropped, wherever that is."""

    def __init__(self, proxy, number):
        self.proxy, self.number = proxy, number

    def get(self):
        return self.number

    def __del__(self):
        self.proxy.append(self.number)


class Reducing:
    """Calls an object while it is being pickled, as a reducer may."""

    def __init__(self, proxy):
        self.proxy = proxy

    def __reduce__(self):
        return int, (self.proxy.same(17),)


class NeedsTwo(Exception):
    """Pickles, but cannot be made again from what it pickles."""

    def __init__(self, first, second):
        super().__init__(first)


class Refusing:
    def __reduce__(self):
        raise RuntimeError("this is not for others")


def get_one():
    return ONE


class Managers(managers.SyncManager):
    pass


Managers.register("Echo", Echo)
Managers.register("One", get_one)
Managers.register("Loud", Loud)
