"""Whatever members are told while others are killed, one process alone could have been told.

First the checker itself: it has to refuse what cannot be. Then a sample of the storm that records
histories; `make crash` runs the full one.
"""

from __future__ import annotations

import os
import random

import history_storm
import marks
import pytest
from linearizability import ABSENT, Operation, bounded_queue, check, register

KILLS = int(os.environ.get("COHELD_STORM_KILLS", "30"))


def history(*rows):
    """Rows of: process, name, arguments, result, began, ended."""
    return [Operation(*row) for row in rows]


GOOD = {
    "one after the other": history(
        (1, "set", (5,), 0, 0, 1), (2, "get", (), 5, 2, 3), (1, "increment", (2,), 7, 4, 5)
    ),
    "a read beside a write may see either": history(
        (1, "set", (5,), 0, 0, 10), (2, "get", (), 0, 1, 2), (3, "get", (), 5, 3, 4)
    ),
    "writes beside each other, in the order that the reads tell": history(
        (1, "set", (5,), 0, 0, 10),
        (2, "set", (6,), 0, 0, 10),
        (3, "get", (), 6, 1, 2),
        (3, "get", (), 5, 3, 4),
    ),
    "one that was killed and has happened": history(
        (1, "set", (5,), None, 0, 10), (2, "get", (), 0, 1, 2), (2, "get", (), 5, 11, 12)
    ),
    "one that was killed and has not": history(
        (1, "set", (5,), None, 0, 10), (2, "get", (), 0, 11, 12)
    ),
    "what was killed explains what another saw": history(
        (1, "increment", (3,), None, 0, 10), (2, "increment", (1,), 4, 5, 6)
    ),
    "an entry comes and goes": history(
        (1, "pop", (), 0, 0, 1),
        (2, "setdefault", (5,), 5, 2, 3),
        (1, "compare_exchange", (5, 6), 1, 4, 5),
        (1, "setdefault", (7,), 6, 6, 7),
    ),
}

BAD = {
    "a value that nobody wrote": history((1, "get", (), 5, 0, 1)),
    "a read of what was overwritten before it began": history(
        (1, "set", (5,), 0, 0, 1), (1, "set", (6,), 0, 2, 3), (2, "get", (), 5, 4, 5)
    ),
    "two reads in a row, the newer value first": history(
        (1, "set", (5,), 0, 0, 10), (2, "get", (), 5, 1, 2), (3, "get", (), 0, 3, 4)
    ),
    "a lost increment": history(
        (1, "increment", (1,), 1, 0, 5), (2, "increment", (1,), 1, 0, 5), (3, "get", (), 1, 6, 7)
    ),
    "both exchanges of one value": history(
        (1, "compare_exchange", (0, 5), 1, 0, 5), (2, "compare_exchange", (0, 6), 1, 0, 5)
    ),
    "one that was killed and happens after its death": history(
        (1, "set", (5,), None, 0, 10), (2, "get", (), 0, 11, 12), (2, "get", (), 5, 13, 14)
    ),
    "one that was killed and happens twice": history(
        (1, "increment", (1,), None, 0, 10), (2, "get", (), 2, 11, 12)
    ),
    "one that was popped twice": history(
        (1, "set", (5,), 0, 0, 1), (1, "pop", (), 5, 2, 9), (2, "pop", (), 5, 2, 9)
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be(name):
    assert check(GOOD[name], 0, register) is None


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be(name):
    violation = check(BAD[name], 0, register)
    assert violation is not None
    assert violation.operation in BAD[name]
    assert str(violation.operation) in str(violation)


def test_queues_keep_the_order():
    queue = bounded_queue(1)
    fine = history(
        (1, "put", (5,), 1, 0, 1),
        (1, "put", (6,), 0, 2, 3),
        (2, "get", (), 5, 4, 5),
        (2, "get", (), ABSENT, 6, 7),
    )
    assert check(fine, (), queue) is None
    twice = [*fine[:3], fine[2]._replace(process=3)]
    crossed = history((1, "put", (5,), 1, 0, 1), (1, "put", (6,), 1, 2, 3), (2, "get", (), 6, 4, 5))
    lost = history((1, "put", (5,), 1, 0, 1), (2, "get", (), ABSENT, 2, 3))
    for wrong in (twice, crossed, lost):
        assert check(wrong, (), bounded_queue(2)) is not None


@pytest.mark.parametrize("seed", range(20))
def test_random_histories_of_one_order(seed):
    """Whatever order was real is found; and a result that is changed is not explained away."""
    chance = random.Random(seed)
    state, operations, clock, busy_until = 0, [], 0, [0] * 4
    for number in range(300):
        clock += chance.randrange(1, 10)
        process = chance.randrange(4)
        name = chance.choice(("get", "set", "increment"))
        arguments = {"get": (), "set": (1000 + number,), "increment": (1,)}[name]
        began = max(busy_until[process] + 1, clock - chance.randrange(30))
        # It happens at `clock`, somewhere between its beginning and its end.
        clock = max(clock, began)
        ended = busy_until[process] = clock + chance.randrange(30)
        state = register(state, Operation(process, name, arguments, None, 0, 0))
        result = 0 if name == "set" else state
        operations.append(Operation(process, name, arguments, result, began, ended))
    shuffled = chance.sample(operations, len(operations))
    assert check(shuffled, 0, register) is None
    place = chance.choice([i for i, found in enumerate(operations) if found.name != "set"])
    operations[place] = operations[place]._replace(result=-7)
    assert check(operations, 0, register).operation.result == -7


@marks.coheld_only
@pytest.mark.timeout(240 + KILLS)
def test_a_storm_of_histories(capsys):
    told = history_storm.storm(KILLS, seed=5)
    with capsys.disabled():
        print(f"\n{told}")
