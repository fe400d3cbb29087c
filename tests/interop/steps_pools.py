"""Steps: pools of processes, which are children of the server."""

from __future__ import annotations

import multiprocessing

import things
from battery import outcome, step


@step()
def pool(world):
    with world.manager.Pool(2) as shared:
        yield shared.apply(things.double, (4,)), shared.apply(things.add, (1,), {"right": 5})
        yield shared.map(things.double, range(5)), shared.starmap(things.add, [(1, 2), (3,)])
        yield outcome(shared.apply, things.fail, (1,)), outcome(shared.map, things.fail, [1])
        result = shared.apply_async(things.double, (21,))
        yield result.get(timeout=20), result.ready(), result.successful(), result.wait()
        failed = shared.apply_async(things.fail, (2,))
        yield outcome(failed.get), failed.successful(), type(failed).__name__
        yield shared.map_async(things.double, [1, 2]).get(20)
        yield shared.starmap_async(things.add, [(1, 1)]).get(20)
        yield list(shared.imap(things.double, range(3))), type(shared).__name__
        yield sorted(shared.imap_unordered(things.double, range(3)))
        iterator = shared.imap(things.fail, [1])
        yield outcome(next, iterator), outcome(next, iterator)
        slow = shared.apply_async(things.sleep, (60,))
        yield slow.ready(), outcome(slow.get, 0.01).__class__ is multiprocessing.TimeoutError
        yield outcome(world.manager.Pool, 0)


@step()
def pool_that_is_closed(world):
    shared = world.manager.Pool(1)
    result = shared.map_async(things.double, range(3))
    yield shared.close(), shared.join(), result.get()
    yield outcome(shared.apply, things.double, (1,)), shared.terminate()
