"""A storm of SIGKILLs: members die at random while others work on the same objects.

Eight members append, pop, sort, insert, overwrite and remove on objects of every type. The
parent kills one of them at a random moment, puts a new one in its place, and so on. Every member
writes down on a board (a mapped file, which survives it) what it has done, after it has done it.
So of each dead member at most one operation is unaccounted for, and everything else must be found
exactly:

* every item appended is in the list, or was popped by exactly one member
* every dict entry inserted and not removed is there, and no other
* no value is half of one and half of another
* nobody waits for ever for what a dead member held
* when all is dropped, the memory in use is what it was before

    python tests/kill_storm.py [--kills 2000] [--members 8] [--seed N]
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import gc
import multiprocessing
import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable

import subject
from storm_base import SEQUENCE_BITS, STOP, Board, be_a_member
from storm_member import ARRAY_LENGTH, SLOTS, Member, is_whole

MEMBERS = 8
# How long a member may be busy with one operation before it is said to hang.
SECONDS_PER_OPERATION = 30.0
MEAN_SECONDS_BETWEEN_KILLS = 0.008
# Every so often a new member is spawned instead of forked: it attaches by itself.
SHARE_OF_SPAWNED = 0.02
KILLS_BETWEEN_AUDITS = 25
SECONDS_TO_SETTLE = 20
# What a parent holds for a child that never came to life is given up after a minute.
SECONDS_TO_SETTLE_BIRTHS = 90


class StormFailed(AssertionError):
    """Something that must not happen happened."""


@dataclasses.dataclass
class Place:
    """One of the places at work; a member that dies is replaced by another with a new number."""

    number: int
    process: multiprocessing.process.BaseProcess
    beat: int = -1
    since: float = 0.0


class Storm:
    """The parent's side: starts members, kills them, and checks what they leave."""

    def __init__(self, manager, folder: str, kills: int, members: int, seed: int, births: bool):
        self.manager, self.folder, self.kills, self.births = manager, folder, kills, births
        self.board = Board(folder, records=kills + 2 * members + 1)
        self.random = random.Random(seed)
        self.contexts = {name: multiprocessing.get_context(name) for name in ("fork", "spawn")}
        self.shared = self.make_shared(manager)
        self.started = 0
        self.killed: list[int] = []
        self.audited: set[int] = set()
        self.places = [self.start() for _ in range(members)]

    #: What each process is.
    member = Member

    def make_shared(self, manager) -> dict:
        """What the members work on."""
        return {
            "list": manager.list(),
            "dict": manager.dict(),
            "slots": manager.list([0] * SLOTS),
            "value": manager.Value("i", 0),
            "inner": manager.list(),
            "array": manager.Array("q", [0] * ARRAY_LENGTH),
            "namespace": manager.Namespace(content=0),
            "set": manager.set() if hasattr(manager, "set") else None,
        }

    def start(self) -> Place:
        self.started += 1
        spawned = self.random.random() < SHARE_OF_SPAWNED
        process = self.contexts["spawn" if spawned else "fork"].Process(
            target=be_a_member, args=(self.member, self.started, self.folder, self.shared)
        )
        process.start()
        return Place(self.started, process, since=time.monotonic())

    def run(self) -> None:
        while len(self.killed) < self.kills:
            time.sleep(self.random.expovariate(1 / MEAN_SECONDS_BETWEEN_KILLS))
            self.watch()
            position = self.random.randrange(len(self.places))
            place = self.places[position]
            spawning = type(place.process).__name__ == "SpawnProcess"
            if not self.board.get(place.number, "ready") and (spawning or not self.births):
                # A spawned member that is still starting Python has nothing of Coheld's to hit.
                continue
            place.process.kill()
            self.replace(position)

    def replace(self, position: int) -> None:
        """Put a new member in the place of one that ends."""
        place = self.places[position]
        place.process.join()
        place.process.close()
        self.killed.append(place.number)
        self.places[position] = self.start()
        if len(self.killed) % KILLS_BETWEEN_AUDITS == 0:
            self.audit()

    def watch(self) -> None:
        """Nobody may hang, and nobody may end by himself."""
        now = time.monotonic()
        for place in self.places:
            beat = self.board.get(place.number, "beat")
            if beat != place.beat:
                place.beat, place.since = beat, now
            elif now - place.since > SECONDS_PER_OPERATION:
                os.kill(place.process.pid, signal.SIGUSR1)
                time.sleep(1)
                raise StormFailed(
                    f"member {place.number} (process {place.process.pid}) has hung for "
                    f"{SECONDS_PER_OPERATION:.0f} s after {len(self.killed)} kills, operation "
                    f"{self.board.get(place.number, 'doing')}; its stack is on standard error"
                )
            if not place.process.is_alive():
                raise StormFailed(self.error_of(place))

    def error_of(self, place: Place) -> str:
        told = ""
        with contextlib.suppress(FileNotFoundError):
            with open(os.path.join(self.folder, f"error {place.number}")) as file:
                told = file.read()
        return (
            f"member {place.number} ended by itself with exit status {place.process.exitcode} "
            f"after {len(self.killed)} kills\n{told}"
        )

    def stop(self) -> None:
        """Let the members that are left finish what they are doing."""
        self.board.set(0, STOP, 1)
        for place in self.places:
            place.process.join(SECONDS_PER_OPERATION)
            if place.process.exitcode is None:
                os.kill(place.process.pid, signal.SIGUSR1)
                time.sleep(1)
                raise StormFailed(f"member {place.number} does not stop")
            if place.process.exitcode != 0:
                raise StormFailed(self.error_of(place))

    def close(self) -> None:
        """End whoever is left, each by its own id."""
        for place in self.places:
            if place.process.is_alive():
                place.process.kill()
            place.process.join()
        self.board.close()

    def check(self) -> list[str]:
        """What does not add up; empty if all does."""
        return [*self.check_list(), *self.check_dict(), *self.check_values()]

    def popped(self) -> list[int]:
        items: list[int] = []
        for number in range(1, self.started + 1):
            path = os.path.join(self.folder, f"popped {number}")
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                content = file.read()
                items += struct.unpack(f"<{len(content) // 8}q", content[: len(content) // 8 * 8])
        return items

    def check_list(self):
        found = self.shared["list"][:]
        everything = found + self.popped()
        if len(everything) != len(set(everything)):
            yield f"{len(everything) - len(set(everything))} items are there twice"
        acknowledged = {
            number: self.board.get(number, "appended") for number in range(1, self.started + 1)
        }
        unknown = 0
        for item in everything:
            member, number = item >> SEQUENCE_BITS, item & ((1 << SEQUENCE_BITS) - 1)
            # One operation may be unacknowledged; `extend` is one and brings two items.
            unknown += number >= acknowledged.get(member, -2) + 2
        if unknown:
            yield f"{unknown} items in the list that nobody put there"
        present = set(everything)
        missing = sum(
            (member << SEQUENCE_BITS) + number not in present
            for member, count in acknowledged.items()
            for number in range(count)
        )
        popping = sum(self.board.get(number, "popping") for number in self.killed)
        if missing > popping:
            yield f"{missing} items are lost, but only {popping} members died while popping"

    def check_dict(self):
        contents = self.shared["dict"].copy()
        if len(contents) != len(self.shared["dict"]):
            yield f"len() is {len(self.shared['dict'])}, but {len(contents)} entries are there"
        for number in self.unaudited():
            yield from self.check_entries_of(number, contents)
        known = set(self.unaudited())
        strangers = [key for key in contents if isinstance(key, tuple) and key[0] not in known]
        if strangers:
            yield f"keys that were removed, or of members that never were: {strangers[:10]}"

    def check_entries_of(self, number: int, contents: dict):
        """The entries of one member that changes nothing any more."""
        inserted, removed, latest = (
            self.board.get(number, field) for field in ("inserted", "removed", "latest")
        )
        own = sorted(key[1] for key in contents if isinstance(key, tuple) and key[0] == number)
        lowest, highest = (own[0], own[-1] + 1) if own else (inserted, inserted)
        if own != list(range(lowest, highest)):
            yield f"member {number} has gaps among its keys: {own}"
        if own and not (removed <= lowest <= removed + 1 and inserted <= highest <= inserted + 1):
            yield f"member {number} has keys {own}, put {inserted} in and took {removed} out"
        if not own and inserted - removed > 1:
            yield f"member {number} has no keys, put {inserted} in and took {removed} out"
        written = contents.get(f"latest of {number}", 0)
        if written not in (latest, latest + 1):
            yield f"member {number} wrote {latest}, there is {written}"

    def unaudited(self) -> list[int]:
        """Members whose entries may still be in the dict."""
        return [number for number in range(1, self.started + 1) if number not in self.audited]

    def audit(self) -> None:
        """Check what the dead have left in the dict and remove it, so that it does not grow."""
        shared = self.shared["dict"]
        dead = [number for number in self.killed if number not in self.audited]
        contents = shared.copy()
        problems = [text for number in dead for text in self.check_entries_of(number, contents)]
        if problems:
            raise StormFailed("\n".join(problems))
        for key in contents:
            if isinstance(key, tuple) and key[0] in dead:
                if shared.pop(key) != contents[key]:
                    raise StormFailed(f"the entry of {key} changed after its member had died")
        for number in dead:
            shared.pop(f"latest of {number}", None)
            shared.pop(f"inner of {number}", None)
        self.audited.update(dead)

    def check_values(self):
        slots, value = self.shared["slots"][:], self.shared["value"].value
        if len(slots) != SLOTS:
            yield f"there are {len(slots)} slots, not {SLOTS}"
        array = self.shared["array"][:]
        if len(array) != ARRAY_LENGTH or len(set(array)) != 1:
            yield f"the array is {array}"
        if self.shared["set"] is not None:
            strangers = self.shared["set"].copy() - {(number, "was here") for number in self.killed}
            if strangers:
                yield f"in the set, though their members removed them: {strangers}"
        for content in (*slots, value, self.shared["namespace"].content):
            if not is_whole(content):
                yield f"{content!r} is no value that anybody wrote"


def statistics(manager) -> dict | None:
    """The figures that have to return to their start; the stock manager has none."""
    if subject.IS_STOCK:
        return None
    figures = manager._statistics()
    return {name: figures[name] for name in ("referents", "blocks", "members")}


def settled(manager, before: dict | None, seconds: float) -> str:
    """Wait until memory is as before; says so, or raises StormFailed."""
    if subject.wait_until(lambda: statistics(manager) == before, seconds, every=0.1):
        return "nothing left in memory"
    raise StormFailed(f"in use before: {before}, afterwards: {statistics(manager)}")


def storm(
    kills: int,
    members: int = MEMBERS,
    seed: int = 0,
    births: bool = False,
    kind: type[Storm] = Storm,
) -> str:
    """One storm from beginning to end; raises StormFailed, or says in a line how it went.

    With `births`, members are also killed while they are being forked.
    """
    manager = subject.start_manager()
    began = time.monotonic()
    try:
        before = statistics(manager)
        with tempfile.TemporaryDirectory() as folder:
            raging = kind(manager, folder, kills, members, seed, births)
            try:
                raging.run()
                raging.stop()
                stopped = time.monotonic()
                problems = raging.check()
                beats = sum(
                    raging.board.get(number, "beat") for number in range(1, raging.started + 1)
                )
            finally:
                raging.close()
        if problems:
            raise StormFailed("\n".join(problems[:20]))
        raging.shared.clear()
        del raging
        gc.collect()
        after = settled(manager, before, SECONDS_TO_SETTLE_BIRTHS if births else SECONDS_TO_SETTLE)
    finally:
        manager.shutdown()
    return (
        f"{kills} kills among {members} members in {stopped - began:.1f} s, "
        f"{beats:,} operations: all accounted for, {after}"
    )


def main(kind: type[Storm] = Storm, kills: int = 2000, members: int = MEMBERS) -> int:
    return run_from_command_line(functools.partial(storm, births=True, kind=kind), kills, members)


def run_from_command_line(
    storm: Callable[[int, int, int], str], kills: int = 2000, members: int = MEMBERS
) -> int:
    """A storm of as many kills and members as the command line says; the program's exit code."""
    parser = argparse.ArgumentParser(description="Kill members at random while others work.")
    parser.add_argument(
        "--kills", type=int, default=int(os.environ.get("COHELD_STORM_KILLS", kills))
    )
    parser.add_argument("--members", type=int, default=members)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    try:
        print(storm(options.kills, options.members, options.seed))
    except StormFailed as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
