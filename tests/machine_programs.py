"""What the processes of the far machine do in `test_two_machines`."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import operator
import os
import pickle
import time

import remote_types
from conftest import run_in_child


def connect(address, **options):
    manager = remote_types.Manager(address=address, authkey=remote_types.KEY, **options)
    manager.connect()
    return manager


def is_by_wire(manager) -> bool:
    return manager._link is not None and manager._attachment is None


# ---- Once ---------------------------------------------------------------------------------------


def find_the_way(address):
    """Connect, and tell how."""
    manager = connect(address)
    numbers = manager.list([1, 2])
    assert numbers[:] == [1, 2]
    return is_by_wire(manager), numbers._token.address


def use_containers(address):
    manager = connect(address)
    numbers = manager.list([3, 1])
    numbers.extend([2])
    numbers.sort()
    assert numbers[:] == [1, 2, 3] and numbers.pop() == 3 and 2 in numbers
    entries = manager.dict(a=1)
    entries.update(b=2)
    assert entries == entries and entries.copy() == {"a": 1, "b": 2}
    assert sorted(entries.items()) == [("a", 1), ("b", 2)]
    elements = manager.set([1, 2])
    elements |= {3}
    assert sorted(elements) == [1, 2, 3] and elements & {3, 4} == {3}
    names = manager.Namespace(x=1)
    names.y = [2]
    assert (names.x, names.y) == (1, [2])
    value = manager.Value("i", 5)
    value.value += 1
    assert value.value == 6
    array = manager.Array("i", range(4))
    array[1] = 7
    assert list(array[:]) == [0, 7, 2, 3]


def use_locks(address):
    manager = connect(address)
    lock, rlock = manager.Lock(), manager.RLock()
    with lock:
        assert not lock.acquire(False)
    with rlock, rlock:
        pass
    for semaphore in (manager.Semaphore(1), manager.BoundedSemaphore(1)):
        with semaphore:
            assert not semaphore.acquire(False)
        assert semaphore.acquire(timeout=0)
    event = manager.Event()
    assert not event.wait(0)
    event.set()
    assert event.wait() and event.is_set()
    condition = manager.Condition()
    with condition:
        condition.notify_all()
        assert not condition.wait(0)
    barrier = manager.Barrier(1)
    assert barrier.wait() == 0 and barrier.parties == 1


def use_queues(address):
    manager = connect(address)
    queue = manager.Queue(2)
    queue.put({"a": (1, None)})
    queue.put(bytes(100_000))
    assert queue.full() and queue.get() == {"a": (1, None)} and len(queue.get()) == 100_000
    joinable = manager.JoinableQueue()
    joinable.put(1)
    assert joinable.get() == 1
    joinable.task_done()
    joinable.join()


def use_classes(address):
    manager = connect(address)
    account = manager.Account()
    assert remote_types.use_sub_account(account) == 5
    try:
        account.fail("so")
    except remote_types.AccountError as error:
        assert error.args == ("so",) and "in fail" in str(error.__cause__)
    else:
        raise AssertionError("nothing was raised")
    pool = manager.Pool(1)
    assert pool.map(operator.neg, [1, 2]) == [-1, -2]
    assert pool.apply_async(operator.add, (1, 2)).get(30) == 3
    assert list(pool.imap(operator.neg, [3, 4])) == [-3, -4]
    pool.terminate()


def nest(address):
    manager = connect(address)
    inner = manager.list([1])
    outer = manager.dict(inner=inner, deep=manager.list([manager.dict(value=inner)]))
    del inner
    gc.collect()
    outer["inner"].append(2)
    assert outer["deep"][0]["value"][:] == [1, 2]
    queue = manager.Queue()
    queue.put({"proxies": [outer["inner"]]})
    assert queue.get()["proxies"][0][:] == [1, 2]
    account = manager.Account()
    outer["account"] = account
    account.sub("a").deposit(3)
    assert outer["account"].sub("a").balance() == 3


def iterate(address):
    manager = connect(address)
    numbers = manager.list(range(10_000))
    assert list(numbers) == list(range(10_000))
    assert list(itertools.islice(numbers, 3)) == [0, 1, 2]
    entries = manager.dict({number: str(number) for number in range(1_000)})
    assert sorted(entries) == list(range(1_000))
    assert sum(1 for _ in manager.set(range(500))) == 500


# ---- Children -----------------------------------------------------------------------------------


def append_and_read(numbers, number):
    numbers.append(number)
    return numbers[:], route_to(numbers)


def route_to(proxy) -> str:
    """How a process reaches the object of a proxy."""
    try:
        proxy.get_lock()
    except TypeError:
        return "wire"
    return "memory"


def pass_to_children(address, method):
    """Pass proxies to a child, as an argument and inside of another object."""
    context = multiprocessing.get_context(method)
    manager = connect(address)
    outer = manager.list([manager.list([1])])
    inner = outer[0]
    found = []
    for number, proxy in ((2, inner), (3, pickle.loads(pickle.dumps(inner)))):
        results, theirs = context.Pipe(duplex=False)
        arguments = (append_and_read, (proxy, number), theirs)
        child = context.Process(target=run_in_child, args=arguments)
        child.start()
        theirs.close()
        try:
            fine, answer = results.recv()
            assert fine, answer
            found.append(answer)
        finally:
            child.kill()
            child.join()
    assert outer[0][:] == [1, 2, 3], found
    return [route for _, route in found]


def fork_bare(address):
    """Fork without multiprocessing; parent and child go on with the same proxy."""
    numbers = connect(address).list([0])
    numbers[0]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for _ in range(100):
                numbers.append(1)
            status = 0
        finally:
            os._exit(status)
    for _ in range(100):
        numbers.append(1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), len(numbers)


# ---- Together -----------------------------------------------------------------------------------


def work_together(address, name, pipe):
    """Make something, get what the other machine has made, and change both with it."""
    manager = connect(address)
    own = manager.dict(numbers=manager.list(), lock=manager.Lock(), total=0)
    pipe.send(pickle.dumps(own))
    things = [own, pickle.loads(pipe.recv())]
    for number in range(100):
        for thing in things:
            thing["numbers"].append((name, number))
            with thing["lock"]:
                thing["total"] = thing["total"] + 1
    pipe.send("done")
    assert pipe.recv() == "done"
    for thing in things:
        assert thing["total"] == 200
        mine = [number for other, number in thing["numbers"] if other == name]
        assert mine == list(range(100)) and len(thing["numbers"]) == 200
    pipe.send("checked")
    assert pipe.recv() == "checked"
    return [route_to(thing) for thing in things]


# ---- Step by step -------------------------------------------------------------------------------


def obey(address, pipe, options):
    """Do what the test says, one thing after the other; tell what has come of it."""
    manager = connect(address, **options)
    things = {"list": manager.list([1, 2, 3]), "queue": manager.Queue()}
    orders = {
        "read": lambda: things["list"][:],
        "wait": lambda: things["queue"].get(),
        "make": lambda: things.update(list=manager.list([4])),
        "count": lambda: manager._number_of_objects(),
    }
    pipe.send("ready")
    while True:
        try:
            order = pipe.recv()
        except EOFError:
            return
        pipe.send(("begun", order))
        try:
            pipe.send(("did", orders[order]()))
        except Exception as error:
            kinds = tuple(kind.__name__ for kind in type(error).__mro__)
            pipe.send(("raised", (kinds, str(error))))


def hold_and_wait(address, pipe):
    """Hold twenty objects until the end."""
    held = [connect(address).list() for _ in range(20)]
    pipe.send(len(held))
    time.sleep(600)
