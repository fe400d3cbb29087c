"""Runs a server and a client, and compares what comes of the steps with what has to."""

from __future__ import annotations

import functools
import itertools
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from . import pythons

HERE = Path(__file__).parent

FAMILIES = ("path", "abstract", "tcp")

KEY = b"\0 a key \xff"

#: What a whole battery may take; over TCP, stock waits 40 ms for every handshake.
SECONDS = 120

#: The version of Python whose manager has all that Coheld's has.
NEWEST = (3, 14)

#: The environment of this process without what changes the modules of another Python. Looked at
#: once: pytest tells there which test it runs, while threads start programs.
PLAIN_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    # Clients with Coheld take connections to a manager with Coheld, too.
    "COHELD_ROUTE": "wire",
}

_numbers = itertools.count()

_lock = threading.Lock()


class End(NamedTuple):
    """A server or a client: whose module it uses, and its Python."""

    subject: str
    version: tuple
    program: str

    @property
    def level(self):
        """The version of Python of whose manager this end has everything."""
        return NEWEST if self.subject == "coheld" else self.version

    def __str__(self):
        return "{}-{}.{}".format(self.subject, *self.version[:2])


def stock_ends():
    """The plain Pythons of this machine."""
    return [End("stock", *item) for item in pythons.stock_pythons().items()]


def new_address(family, folder):
    """An address that nobody uses, as `ends.address_from_json` reads it."""
    if family == "path":
        return {"path": os.path.join(folder, f"socket-{next(_numbers)}")}
    if family == "abstract":
        name = f"coheld-interop-{os.getpid()}-{next(_numbers)}"
        return {"bytes": (b"\0" + name.encode()).hex()}
    return {"tcp": ["127.0.0.1", 0]}


class Program:
    """A program in a process group of its own, which ends with it and calls `enter` first."""

    def __init__(self, program, script, arguments, enter=None):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [program, os.path.join(HERE, script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=PLAIN_ENVIRONMENT,
            start_new_session=True,
            preexec_fn=enter,
        )

    def line(self):
        """The next line that it tells, or nothing when it has ended."""
        text = self.process.stdout.readline()
        return json.loads(text) if text.endswith(b"\n") else None

    def close_input(self):
        if not self.process.stdin.closed:
            self.process.stdin.close()

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")[-20_000:]

    def close(self):
        # It has not been waited for, so the number is still that of its group.
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.close_input()
        self.process.stdout.close()
        self.process.wait()
        self.errors.close()


class Server(Program):
    """`serve.py`, with its address once it has one."""

    def __init__(self, end, address, how="serve", serializer="pickle", own_key=True, enter=None):
        self.how = how
        self.key = KEY
        self.serializer = serializer
        super().__init__(
            end.program,
            "serve.py",
            [
                end.subject,
                f"--address={json.dumps(address)}",
                f"--key={KEY.hex()}",
                f"--how={how}",
                f"--serializer={serializer}",
                f"--seconds={SECONDS}",
                *([] if own_key else ["--no-own-key"]),
            ],
            enter,
        )
        told = self.line()
        if told is None:
            text = self.stderr()
            self.close()
            raise RuntimeError("the server has not started:\n" + text)
        self.address = told["address"]

    def ended(self, seconds=20):
        """The status by which the server's process has ended, once it has."""
        if self.how == "start":
            self.close_input()
            told = self.line()
            return told and told["exitcode"]
        try:
            return self._wait_without_reaping(seconds)
        finally:
            self.close_input()

    def _wait_without_reaping(self, seconds):
        # A process that has been waited for has no group that could be killed.
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = os.waitid(os.P_PID, self.process.pid, options)
            if found is not None:
                return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
            time.sleep(0.01)
        return None


class Run(NamedTuple):
    """What has come of a battery: texts by the name of the step and the index in it."""

    results: dict
    since: dict
    seconds: float
    complete: bool
    used_coheld: bool
    errors: str
    last: str


def run_client(
    end,
    server,
    level,
    *,
    address=None,
    short=False,
    steps=(),
    without=(),
    own_key=True,
    enter=None,
):
    """Run `client.py` against a server, which it may know by another address than its own."""
    client = Program(
        end.program,
        "client.py",
        [
            end.subject,
            f"--address={json.dumps(address or server.address)}",
            f"--key={server.key.hex()}",
            f"--serializer={server.serializer}",
            "--level={}.{}".format(*level[:2]),
            f"--seconds={SECONDS}",
            *(["--short"] if short else []),
            *([] if own_key else ["--no-own-key"]),
            *(f"--step={name}" for name in steps),
            *(f"--without={name}" for name in without),
        ],
        enter,
    )
    try:
        return _collect(client)
    finally:
        client.close()


def _collect(client):
    results, since, last = {}, {}, "none"
    while True:
        told = client.line()
        if told is None or "seconds" in told:
            break
        last = told["step"]
        name = (last, told["index"])
        since[name] = tuple(told["since"])
        results[name] = "raised " + told["raised"] if "raised" in told else told["result"]
    return Run(
        results,
        since,
        told["seconds"] if told else 0.0,
        told is not None,
        bool(told and told["coheld"]),
        client.stderr(),
        last,
    )


def run_pair(
    server_end, client_end, family, *, how="serve", serializer="pickle", own_keys=True, **options
):
    """Run a server and a client; what comes of it, and the server's exit status.

    Without `own_keys` the key is that of the manager alone, in the processes that have Coheld.
    """
    level = min(server_end.level, client_end.level, client_end.version)
    with tempfile.TemporaryDirectory(prefix="interop-") as folder:
        address = new_address(family, folder)
        server = Server(
            server_end, address, how, serializer, own_keys or server_end.subject != "coheld"
        )
        try:
            client_has_key = own_keys or client_end.subject != "coheld"
            run = run_client(client_end, server, level, own_key=client_has_key, **options)
            status = server.ended() if run.complete and not options.get("steps") else 0
            return run, status, server.stderr()
        finally:
            server.close()


def expected(version, program, serializer="pickle"):
    """What has to come of the battery for clients of a Python: what comes of it with stock."""
    with _lock:
        return _expected(version, program, serializer)


@functools.cache
def _expected(version, program, serializer):
    end = End("stock", version, program)
    run, status, server_errors = run_pair(end, end, "path", serializer=serializer)
    wrong = problems(run, status, run)
    if wrong:
        raise AssertionError(
            "\n".join([f"stock with stock, Python {version}:", *wrong, run.errors, server_errors])
        )
    return run


def problems(run, status, right):
    """All that is not as it has to be: lines of text."""
    wrong = []
    if not run.complete:
        wrong.append(f"the client has not ended properly; its last step was {run.last}")
    if status != 0:
        wrong.append(f"the server has ended with status {status}")
    for name in sorted(run.results.keys() | right.results.keys()):
        step, index = name
        if name not in right.results:
            wrong.append(f"{step} {index}: unexpected {run.results[name]}")
        elif name in run.results:
            if run.results[name] != right.results[name]:
                wrong.append(
                    f"{step} {index}:\n   got {run.results[name][:500]}\n"
                    f"   for {right.results[name][:500]}"
                )
        elif any(other == step for other, _ in run.results):
            wrong.append(f"{step} {index}: nothing, for {right.results[name]}")
        if right.results.get(name, "").startswith("raised "):
            wrong.append(f"{step} {index}: the step does not work with stock")
    return wrong
