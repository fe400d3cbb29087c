"""A server without Python, for tests: the command `coheld serve`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent

KEY = b"\0 key of a server without Python \xff"


def binary():
    """The program: $COHELD_BINARY, or what cargo has built for the tests of Rust."""
    named = os.environ.get("COHELD_BINARY")
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    found = Path(named) if named else Path(target) / "debug" / "coheld"
    assert found.exists(), f"{found} is not there; `make test` builds it: cargo build -p coheld-cli"
    return str(found)


class RustServer:
    """`coheld serve`, which is killed in the end if it is still there."""

    def __init__(self, folder, *shares, address="127.0.0.1:0"):
        self.key_file = Path(folder) / "key"
        self.key_file.write_bytes(KEY)
        self.key_file.chmod(0o600)
        self.key = KEY
        command = [binary(), "serve", f"--address={address}", f"--authkey-file={self.key_file}"]
        self.process = subprocess.Popen(
            [*command, "--json", *(f"--share={share}" for share in shares)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        line = self.process.stdout.readline()
        if not line:
            errors = self.process.stderr.read().decode()
            self.close()
            raise RuntimeError(f"the server has not started: {errors}")
        self.text = json.loads(line)["address"]

    @property
    def address(self):
        """Where it listens, as Python has it."""
        if self.text.startswith("unix:"):
            return self.text[len("unix:") :]
        if self.text.startswith("abstract:"):
            return b"\0" + self.text[len("abstract:") :].encode()
        host, port = self.text.rsplit(":", 1)
        return host, int(port)

    @property
    def described(self):
        """The same as JSON, as the programs in `interop` read it."""
        address = self.address
        if isinstance(address, tuple):
            return {"tcp": list(address)}
        return {"bytes": address.hex()} if isinstance(address, bytes) else {"path": address}

    def run(self, command, *arguments):
        """Run a client of the same program."""
        return subprocess.run(
            [
                binary(),
                command,
                f"--address={self.text}",
                f"--authkey-file={self.key_file}",
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=30,
        )

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
