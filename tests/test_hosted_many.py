"""Many clients of one host: processes, threads, and nothing left of them."""

from __future__ import annotations

import gc
import multiprocessing
import resource
import threading

import pytest
import subject
from hosted_classes import WorkManager, echo_and_stay, echo_many, echo_of_threads, settles

FORK = multiprocessing.get_context("fork")
PROCESSES = 200
THREADS = 1_000


@pytest.fixture
def work_manager():
    with WorkManager(ctx=FORK) as manager:
        yield manager


@pytest.mark.timeout(240)
def test_processes_that_stay(work_manager, processes):
    """All of them are clients at the same time."""
    work = work_manager.Work()
    descriptors, threads = work.descriptors(), work.threads()
    ends = []
    for label in range(PROCESSES):
        ours, theirs = FORK.Pipe()
        processes.start(FORK, echo_and_stay, work, label * 10, theirs)
        theirs.close()
        ends.append(ours)
    for label, end in enumerate(ends):
        assert end.poll(60) and end.recv() == label * 10
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert work.descriptors() < min(soft, PROCESSES) or subject.IS_STOCK
    for end in ends:
        end.send("again")
    for label, end in enumerate(ends):
        assert end.poll(60) and end.recv() == label * 10 + 1
        end.close()
    processes.close()
    assert settles(work.threads, threads), work.threads()
    assert settles(work.descriptors, descriptors), work.descriptors()
    del work
    # Stock's references of children that end by os._exit stay.
    assert subject.IS_STOCK or subject.objects_left(work_manager) == 0


@pytest.mark.timeout(240)
def test_threads_at_once(work_manager):
    """Each waits inside the host until all of them are there."""
    work = work_manager.Work()
    before = work.threads()
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(work.wait()), daemon=True)
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    assert subject.wait_until(lambda: work.waiting() == THREADS, 90), work.waiting()
    # The one who calls now is not held up by a thousand that wait.
    assert work.add(1) == 1
    work.open()
    for thread in threads:
        thread.join(60)
    assert answers == [True] * THREADS
    assert settles(work.threads, before), work.threads()
    gc.collect()


@pytest.mark.timeout(120)
def test_threads_of_processes(work_manager, processes):
    work = work_manager.Work()
    children = [processes.start(FORK, echo_of_threads, work, 8, 200, label) for label in range(4)]
    assert [child.result(90) for child in children] == [0] * 4
    assert echo_many(work, 200, 99) == 0
