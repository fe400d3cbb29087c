"""Which of CPython's test classes are run, and what they have to do."""

from __future__ import annotations

import dataclasses

#: How long one class may take under one start method; the stock manager needs 6 at most.
SECONDS = 180


@dataclasses.dataclass(frozen=True)
class Class:
    """A test class, as ``install_tests_in_module_dict`` names it.

    Each test that the Python at hand has must pass, except those that CPython skips for managers.
    These are all of CPython's test classes that use managers.
    """

    name: str
    #: The fewest tests that pass, over the versions of Python that have the class.
    passes: int
    #: Tests that CPython itself skips for managers; some exist in some versions only.
    skips: frozenset[str] = frozenset()
    #: The tests that are run; if empty, all of the class.
    tests: frozenset[str] = frozenset()
    #: The first version of Python that has the class.
    since: tuple[int, int] = (3, 9)
    #: How many shared objects the class has itself while its tests run.
    own_objects: int = 0
    #: How many others are still there when all tests have ended, with Coheld.
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
    Class("WithManagerTestManagerRestart", 1),
    Class("WithManagerTestMyManager", 3),
    Class(
        "WithManagerTestPool",
        20,
        skips=frozenset(
            {
                "test_enter",
                "test_imap_handle_iterable_exception",
                "test_imap_unordered_handle_iterable_exception",
                "test_map_handle_iterable_exception",
                "test_resource_warning",
            }
        ),
        own_objects=1,
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
    Class("WithManagerTestRemoteManager", 1),
    Class("WithManagerTestSemaphore", 2, skips=frozenset({"test_timeout"})),
    Class("TestSyncManagerTypes", 15),
    Class("TestInitializers", 2),
    Class("TestManagerExceptions", 2, since=(3, 13)),
    Class(
        "WithProcessesTestSharedMemory",
        4,
        tests=frozenset(
            {
                "test_shared_memory_ShareableList_basics",
                "test_shared_memory_SharedMemoryManager_basics",
                "test_shared_memory_SharedMemoryManager_reuses_resource_tracker",
                "test_shared_memory_SharedMemoryServer_ignores_sigint",
            }
        ),
    ),
    Class("MiscTestCase", 1, tests=frozenset({"test__all__"})),
)


def find(name: str) -> Class:
    """The line of the table for a test class."""
    return next(line for line in CLASSES if line.name == name)
