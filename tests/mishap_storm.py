"""A storm of everything that happens to processes: sixteen members work on objects of every type
and are killed, stopped and continued; and they fork without a word, become daemons, leave without
cleaning up, become another program, close all their descriptors or those of the terminal, and
lower their limits.

The books are those of the kill storm: whatever a member has done is accounted for, nobody waits
for ever, and in the end memory, members and references are what they were before.

    python tests/mishap_storm.py [--kills 2000] [--members 16] [--seed N]
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time

import kill_storm
from kill_storm import MEAN_SECONDS_BETWEEN_KILLS, Storm, StormFailed
from storm_member import Member

MEMBERS = 16
#: The exit status of a member that leaves on purpose.
LEFT = 77
#: Of what the parent does to members, this part is to stop one for a while instead of killing it.
SHARE_OF_STOPPED = 0.4
LONGEST_STOP = 0.05
#: Ordinary operations for each mishap of a member's own.
OPERATIONS_PER_MISHAP = 60


class MishapMember(Member):
    """A process to which things happen."""

    def operations(self):
        usual = super().operations()
        mishaps = [
            self.fork,
            self.leave_a_daemon,
            self.leave,
            self.become_another_program,
            self.close_all,
            self.close_the_terminal,
            self.lower_limits,
        ]
        return usual * (OPERATIONS_PER_MISHAP * len(mishaps) // len(usual)) + mishaps

    def work_a_little(self) -> None:
        """What a child does that has no number of its own: nothing that is on the board."""
        for _ in range(self.random.randrange(20)):
            self.set_slot()
            self.set_value()
            self.set_name()
            self.inner.append(self.number)

    def run_and_exit(self) -> None:
        status = 1
        try:
            self.work_a_little()
            status = 0
        finally:
            os._exit(status)

    def sort(self) -> None:
        # Others wait for whoever sorts, but not for one that is stopped meanwhile, time and again:
        # it is told so, and nothing was changed.
        try:
            super().sort()
        except ValueError as refusal:
            if str(refusal) != "list modified during sort":
                raise

    def fork(self) -> None:
        """Nobody tells Coheld, and the child ends without a word."""
        pid = os.fork()
        if pid == 0:
            self.run_and_exit()
        _, status = os.waitpid(pid, 0)
        if status != 0:
            raise AssertionError(f"a forked child ended with {status}")

    def leave_a_daemon(self) -> None:
        """A process with other parents and without descriptors goes on with the objects."""
        pid = os.fork()
        if pid == 0:
            os.setsid()
            if os.fork() == 0:
                os.closerange(0, 256)
                self.run_and_exit()
            os._exit(0)
        os.waitpid(pid, 0)

    def leave(self) -> None:
        os._exit(LEFT)

    def become_another_program(self) -> None:
        program = f"import os; os._exit({LEFT})"
        os.execv(sys.executable, [sys.executable, "-S", "-E", "-c", program])

    def close_all(self) -> None:
        """As daemons do, with Coheld's among them; the journal is the test's own affair."""
        os.closerange(3, 512)
        self.popped = self.journal("popped")
        os.lseek(self.popped, 0, os.SEEK_END)

    def close_the_terminal(self) -> None:
        """What is opened next gets their numbers."""
        os.closerange(0, 3)
        self.sort()
        for _ in range(3):
            os.open(os.devnull, os.O_RDWR)

    def lower_limits(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 64), hard))


class MishapStorm(Storm):
    """The parent's side."""

    member = MishapMember

    def run(self) -> None:
        while len(self.killed) < self.kills:
            time.sleep(self.random.expovariate(1 / MEAN_SECONDS_BETWEEN_KILLS))
            self.replace_who_has_left()
            self.watch()
            position = self.random.randrange(len(self.places))
            place = self.places[position]
            if not self.board.get(place.number, "ready") or place.process.exitcode is not None:
                continue
            if self.random.random() < SHARE_OF_STOPPED:
                self.stop_for_a_while(place.process.pid)
                continue
            place.process.kill()
            self.replace(position)

    def stop_for_a_while(self, pid: int) -> None:
        # It may leave by itself meanwhile; until somebody asks for its status, the id is its own.
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(self.random.random() * LONGEST_STOP)
        finally:
            os.kill(pid, signal.SIGCONT)

    def replace_who_has_left(self) -> None:
        for position, place in enumerate(self.places):
            if place.process.exitcode == LEFT:
                self.replace(position)

    def watch(self) -> None:
        # Who leaves between the two looks is found at the next.
        with contextlib.suppress(_Left):
            super().watch()

    def error_of(self, place) -> str:
        if place.process.exitcode == LEFT:
            raise _Left
        return super().error_of(place)

    def stop(self) -> None:
        """Those that leave now, leave."""
        self.board.set(0, kill_storm.STOP, 1)
        for place in self.places:
            place.process.join(kill_storm.SECONDS_PER_OPERATION)
            if place.process.exitcode == LEFT:
                self.killed.append(place.number)
            elif place.process.exitcode != 0:
                raise StormFailed(super().error_of(place))


class CrowdedMember(Member):
    """A process that has closed all of its descriptors, or that can have no more."""

    def __init__(self, number: int, folder: str, shared: dict) -> None:
        super().__init__(number, folder, shared)
        if number % 2:
            os.closerange(3, 512)
            self.popped = self.journal("popped")
            os.lseek(self.popped, 0, os.SEEK_END)
        else:
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))


class CrowdedStorm(MishapStorm):
    """Those with a lock have nothing that the kernel could show; those that wait cannot look."""

    member = CrowdedMember


class _Left(Exception):
    """A member has left on purpose."""


def storm(kills: int, members: int = MEMBERS, seed: int = 0, kind: type = MishapStorm) -> str:
    """One storm from beginning to end; see `kill_storm.storm`."""
    return kill_storm.storm(kills, members, seed, births=True, kind=kind)


if __name__ == "__main__":
    sys.exit(kill_storm.main(MishapStorm, members=MEMBERS))
