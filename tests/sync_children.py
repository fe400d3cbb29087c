"""What processes run in more than one file of tests of locks, queues and everything that waits."""

from __future__ import annotations

# Long enough for any machine; reached only when something hangs.
LONG = 40


def wait_on(ready, what, proxy, *args):
    """Waits for something that does not come."""
    if what == "wait_of_condition":
        with proxy:
            ready.set()
            return proxy.wait(*args)
    ready.set()
    return getattr(proxy, what)(*args)


def wait_for_notification(condition, waiting, woken, me):
    with condition:
        waiting.append(me)
        if condition.wait(LONG):
            woken.append(me)


def try_to_acquire(lock):
    got = lock.acquire(False)
    if got:
        lock.release()
    return got
