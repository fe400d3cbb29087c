"""Which of CPython's test classes are run, and what they have to do."""

from __future__ import annotations

import dataclasses

#: How long one class may take under one start method; the stock manager needs 6 at most.
SECONDS = 180


@dataclasses.dataclass(frozen=True)
class Class:
    """A test class, as ``install_tests_in_module_dict`` names it.

    Each test that the Python at hand has must pass, except those that CPython skips for managers.
    A class that Coheld is to pass from now on becomes a line of `CLASSES`.
    """

    name: str
    #: The fewest tests that pass, over the versions of Python that have the class.
    passes: int
    #: Tests that CPython itself skips for managers; some exist in some versions only.
    skips: frozenset[str] = frozenset()
    #: Tests that are not run, because they are of something that Coheld does not have.
    leaves_out: frozenset[str] = frozenset()
    #: How many shared objects are still there when all tests have ended, with Coheld.
    objects_left: int = 0


CLASSES = (
    Class("TestDropIn", 3),
    Class("WithManagerTestBarrier", 10, skips=frozenset({"test_thousand"})),
    Class("WithManagerTestCondition", 7),
    # A list that contains itself holds itself: `test_list_proxy_in_list` makes one.
    Class("WithManagerTestContainers", 8, objects_left=1),
    Class("WithManagerTestEvent", 1),
    Class(
        "WithManagerTestLock",
        3,
        skips=frozenset(
            {
                "test_lock_locked_2processes",
                "test_repr_lock",
                "test_repr_rlock",
                "test_rlock_locked_2processes",
            }
        ),
    ),
    Class(
        "WithManagerTestQueue",
        8,
        skips=frozenset(
            {
                "test_queue_feeder_donot_stop_onexc",
                "test_queue_feeder_on_queue_feeder_error",
            }
        ),
    ),
    Class("WithManagerTestSemaphore", 2, skips=frozenset({"test_timeout"})),
    Class("TestSyncManagerTypes", 14, leaves_out=frozenset({"test_pool"})),
)


def find(name: str) -> Class:
    """The line of the table for a test class."""
    return next(line for line in CLASSES if line.name == name)
