"""The module that CPython's test classes are in, made for the start method of this process.

The processes that the tests start import it by its name, to find the functions they are to run.
"""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.managers
import unittest

import subject

from cpython import drop_in

tests = importlib.import_module(drop_in.TESTS)

# What fork servers import ahead: this one, too.
tests.PRELOAD.append(__name__)

tests.install_tests_in_module_dict(globals(), multiprocessing.get_start_method())


def classes_seen() -> list[bool]:
    """Whether this process sees the module under test wherever the tests look."""
    return [
        multiprocessing.managers.SyncManager is subject.managers.SyncManager,
        tests.multiprocessing.managers.BaseProxy is subject.managers.BaseProxy,
        tests.BaseManager is subject.managers.BaseManager,
        tests.TestSyncManagerTypes.manager_class is subject.managers.SyncManager,
    ]


def send_classes_seen(connection) -> None:
    with connection:
        connection.send(classes_seen())


class TestDropIn(unittest.TestCase):
    """What all others rest on: they and their processes do see the module under test."""

    def test_this_process(self):
        self.assertEqual(classes_seen(), [True] * 4)

    def test_manager(self):
        with multiprocessing.Manager() as manager:
            self.assertIs(type(manager), subject.managers.SyncManager)

    def test_started_process(self):
        reader, writer = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.Process(target=send_classes_seen, args=(writer,))
        process.start()
        writer.close()
        with reader:
            self.assertEqual(reader.recv(), [True] * 4)
        process.join()
        self.assertEqual(process.exitcode, 0)
