"""A checker of histories: is there an order in which one process could have done all that?

A history is what several processes did to one object: for each operation when it began, when its
result was there, and what the result was. It is *linearizable* if every operation can be thought to
have happened at one instant between these two (Herlihy and Wing, 1990). For an operation whose
process was killed, the end is the death: it has happened before, or it never will (*strict*
linearizability: Aguilera and Froelund, 2003), and nobody knows its result.

The search goes through the history in time and keeps every state that the object may be in
("just-in-time linearization": Lowe, 2017): an operation is placed only when a result forces it to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

State = Hashable
#: The state after an operation, or None if its result is not one that this state gives.
Step = Callable[[State, "Operation"], "State | None"]

#: An entry that is not there, or an item that could not be had.
ABSENT = -1


class Operation(NamedTuple):
    """One operation of one process; times are nanoseconds of the monotonic clock."""

    process: int
    name: str
    arguments: tuple[int, ...]
    #: None if the process was killed before it had one.
    result: int | None
    began: int
    ended: int

    @property
    def is_known(self) -> bool:
        return self.result is not None

    def gives(self, result: int) -> bool:
        """Whether it may have had this result."""
        return self.result is None or self.result == result

    def __str__(self) -> str:
        told = self.result if self.is_known else "killed"
        arguments = ", ".join(map(str, self.arguments))
        return (
            f"{self.began}..{self.ended} process {self.process}: {self.name}({arguments}): {told}"
        )


def register(state: int, operation: Operation) -> int | None:
    """One value: of a Value, an entry of a dict, an item of a list, an Event."""
    name, arguments = operation.name, operation.arguments
    if name == "get":
        result, after = state, state
    elif name == "set":
        result, after = 0, arguments[0]
    elif name == "increment":
        result = after = state + arguments[0]
    elif name == "compare_exchange":
        swapped = state == arguments[0] != ABSENT
        result, after = int(swapped), arguments[1] if swapped else state
    elif name == "pop":
        result, after = state, ABSENT
    elif name == "setdefault":
        result = after = arguments[0] if state == ABSENT else state
    else:
        raise ValueError(f"a register has no operation {name!r}")
    return after if operation.gives(result) else None


def bounded_queue(size: int) -> Step:
    """First in, first out; `put` gives 0 if there is no room, `get` ABSENT if there is nothing."""

    def step(state: tuple[int, ...], operation: Operation) -> tuple[int, ...] | None:
        if operation.name == "put":
            fits = len(state) < size
            result, after = int(fits), (*state, operation.arguments[0]) if fits else state
        elif operation.name == "get":
            result, after = (state[0], state[1:]) if state else (ABSENT, state)
        else:
            raise ValueError(f"a queue has no operation {operation.name!r}")
        return after if operation.gives(result) else None

    return step


@dataclasses.dataclass
class Violation:
    """The first operation whose result nothing explains."""

    operation: Operation
    states: list
    beside: list[Operation]

    def __str__(self) -> str:
        beside = "".join(f"\n  beside {operation}" for operation in self.beside)
        return f"{self.operation}\n  cannot be: possible states {self.states[:8]}{beside}"


def check(operations: Iterable[Operation], initial: State, step: Step) -> Violation | None:
    """The first violation in the history of one object, or None."""
    operations = list(operations)
    # At the same instant a beginning comes first: more orders are possible then, not fewer.
    events = [(operation.began, 0, number) for number, operation in enumerate(operations)]
    events += [(operation.ended, 1, number) for number, operation in enumerate(operations)]
    events.sort()
    pending: set[int] = set()
    # A state, and those of the pending operations that have happened in it.
    possible = {(initial, frozenset())}
    for _, is_end, number in events:
        if not is_end:
            pending.add(number)
            continue
        after = set()
        for configuration in possible:
            after |= placed(configuration, number, pending, operations, step)
        pending.remove(number)
        if not after:
            return Violation(
                operations[number],
                sorted({repr(state) for state, _ in possible}),
                [operations[other] for other in sorted(pending)],
            )
        possible = after
    return None


def placed(configuration, number: int, pending: set[int], operations, step: Step) -> set:
    """What `configuration` becomes when operation `number` is over."""
    state, happened = configuration
    if number in happened:
        return {(state, happened - {number})}
    # One that was killed need not have happened.
    after = set() if operations[number].is_known else {configuration}
    seen = {configuration}
    to_do = [configuration]
    while to_do:
        state, happened = to_do.pop()
        for other in pending - happened:
            next_state = step(state, operations[other])
            if next_state is None:
                continue
            if other == number:
                after.add((next_state, happened))
                continue
            found = (next_state, happened | {other})
            if found not in seen:
                seen.add(found)
                to_do.append(found)
    return after
