"""Many processes on one lock: everybody gets on."""

from __future__ import annotations

import multiprocessing

import pytest
import subject

PROCESSES = 50
ROUNDS = 40


@pytest.fixture(scope="module")
def manager():
    started = subject.start_manager()
    yield started
    started.shutdown()


def take_turns(lock, turns, start):
    start.wait()
    for _ in range(ROUNDS):
        with lock:
            turns.append(multiprocessing.current_process().name)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ("Lock", "RLock", "Semaphore"))
def test_fifty_processes_on_one_lock(manager, kind):
    context = multiprocessing.get_context("fork")
    lock, turns, start = getattr(manager, kind)(), manager.list(), manager.Event()
    workers = [
        context.Process(target=take_turns, args=(lock, turns, start), name=f"worker {number}")
        for number in range(PROCESSES)
    ]
    try:
        for worker in workers:
            worker.start()
        start.set()
        for worker in workers:
            worker.join(240)
            assert worker.exitcode == 0, f"{worker.name} did not get its turns"
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.kill()
            worker.join()
    taken = turns[:]
    assert len(taken) == PROCESSES * ROUNDS
    assert {name: taken.count(name) for name in set(taken)} == {
        worker.name: ROUNDS for worker in workers
    }
