"""A member of the kill storm: what it does to the shared objects."""

from __future__ import annotations

import array
import os
import struct

from storm_base import StormMember

SLOTS = 64
ARRAY_LENGTH = 40
KEYS_KEPT = 8
LONGEST_LIST = 300


def seal(member: int, number: int) -> tuple:
    """A value that shows whether it is whole."""
    return (member, number, member * 31 + number, "x" * (number % 50))


def is_whole(value) -> bool:
    return value == 0 or value == seal(value[0], value[1])


class Member(StormMember):
    """One process of the storm."""

    def __init__(self, number: int, folder: str, shared: dict) -> None:
        super().__init__(number, folder, shared)
        self.popped = self.journal("popped")
        self.list, self.dict, self.slots = shared["list"], shared["dict"], shared["slots"]
        self.value, self.inner = shared["value"], shared["inner"]
        self.array, self.namespace, self.set = shared["array"], shared["namespace"], shared["set"]

    def operations(self):
        return (
            [self.append] * 4
            + [self.pop] * 4
            + [self.insert_entry] * 4
            + [self.overwrite] * 3
            + [self.set_slot] * 3
            + [self.set_value] * 2
            + [self.fill_array, self.set_name, self.add_and_remove]
            + [self.extend, self.put_in_the_middle]
            + [self.sort, self.nest, self.read_all]
        )

    def append(self) -> None:
        number = self.board.get(self.number, "appended")
        self.list.append(self.item(number))
        self.note("appended", number + 1)

    def extend(self) -> None:
        number = self.board.get(self.number, "appended")
        self.list.extend([self.item(number), self.item(number + 1)])
        self.note("appended", number + 2)

    def put_in_the_middle(self) -> None:
        number = self.board.get(self.number, "appended")
        self.list.insert(self.random.randrange(LONGEST_LIST), self.item(number))
        self.note("appended", number + 1)

    def pop(self) -> None:
        long = len(self.list) > LONGEST_LIST
        for _ in range(self.random.randrange(1, 30) if long else 1):
            self.note("popping", 1)
            try:
                item = self.list.pop(self.random.choice((-1, 0)))
            except IndexError:
                pass
            else:
                os.write(self.popped, struct.pack("<q", item))
            self.note("popping", 0)

    def sort(self) -> None:
        self.list.sort(reverse=self.random.random() < 0.5)

    def insert_entry(self) -> None:
        """A new key, and the oldest of its own goes."""
        number = self.board.get(self.number, "inserted")
        self.dict[(self.number, number)] = "x" * self.random.choice((0, 5, 100, 5000))
        self.note("inserted", number + 1)
        oldest = self.board.get(self.number, "removed")
        if number - oldest >= KEYS_KEPT:
            if self.random.random() < 0.5:
                del self.dict[(self.number, oldest)]
            else:
                self.dict.pop((self.number, oldest))
            self.note("removed", oldest + 1)

    def overwrite(self) -> None:
        number = self.board.get(self.number, "latest") + 1
        self.dict[f"latest of {self.number}"] = number
        self.note("latest", number)

    def set_slot(self) -> None:
        position = self.random.randrange(SLOTS)
        if not is_whole(self.slots[position]):
            raise AssertionError(f"slot {position} holds {self.slots[position]!r}")
        self.slots[position] = seal(self.number, self.random.randrange(1000))

    def set_value(self) -> None:
        if not is_whole(self.value.value):
            raise AssertionError(f"the value is {self.value.value!r}")
        self.value.value = seal(self.number, self.random.randrange(1000))

    def fill_array(self) -> None:
        """All items at once: nobody may ever see some of the old and some of the new ones."""
        content = self.array[:]
        if len(content) != ARRAY_LENGTH or len(set(content)) != 1:
            raise AssertionError(f"the array is {content}")
        self.array[:] = array.array("q", [self.random.randrange(1000)] * ARRAY_LENGTH)

    def set_name(self) -> None:
        if not is_whole(self.namespace.content):
            raise AssertionError(f"the namespace holds {self.namespace.content!r}")
        self.namespace.content = seal(self.number, self.random.randrange(1000))

    def add_and_remove(self) -> None:
        if self.set is not None:
            self.set.add((self.number, "was here"))
            if (self.number, "was here") not in self.set:
                raise AssertionError("what was added to the set is not in it")
            self.set.remove((self.number, "was here"))

    def nest(self) -> None:
        """A proxy as a value: dying between two references must not lose or leak the referent."""
        self.dict[f"inner of {self.number}"] = [self.inner]
        self.dict[f"inner of {self.number}"][0].append(self.number)
        del self.dict[f"inner of {self.number}"]

    def read_all(self) -> None:
        if len(self.slots[:]) != SLOTS or not all(map(is_whole, self.slots[:])):
            raise AssertionError("the slots are not what was put there")
        entries = self.dict.items()
        if len({key for key, _ in entries}) != len(entries):
            raise AssertionError("a key is in the dict twice")
        if len(self.inner) > 1000:
            del self.inner[:]
