"""The Rust examples with several processes do what they say."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import rust_server

ROOT = Path(__file__).parent.parent
WORKER = ROOT / "examples" / "word_worker.py"


def example(name):
    program = Path(rust_server.binary()).parent / "examples" / name
    assert program.exists(), f"{program} is not there; cargo build -p coheld --examples"
    return str(program)


def run(name, *arguments):
    return subprocess.run(
        [example(name), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_words_are_counted_by_several_processes(tmp_path):
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text("To be, or not to be. " * (number + 1))
    ended = run("word_count", "--processes", 3, *sorted(tmp_path.iterdir()))
    assert ended.returncode == 0, ended.stderr
    lines = [line.split(maxsplit=1) for line in ended.stdout.splitlines()]
    assert lines == [
        ["420", "be"],
        ["420", "to"],
        ["210", "not"],
        ["210", "or"],
        ["1260", "words in 20 files"],
    ]
    ended = run("word_count", tmp_path / "nothing")
    assert ended.returncode == 1
    assert "No such file" in ended.stderr


def test_a_task_is_done_although_its_worker_dies():
    ended = run("work_queue", 300)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "300 of 300 tasks done in 2 rounds, 1 workers died\n"


def test_a_cache_stays_within_its_limit():
    ended = run("shared_cache", 100)
    assert ended.returncode == 0, ended.stderr
    hits, kept = map(int, re.findall(r"(\d+) of 8000 .* (\d+) entries", ended.stdout)[0])
    assert 0 < hits < 8000
    assert kept <= 100


class Service:
    """The program `web_service`, which is killed in the end if it is still there."""

    def __init__(self):
        self.process = subprocess.Popen(
            [example("web_service"), sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()

    def ask(self, path, text=None):
        """The status and the body of an answer."""
        data = None if text is None else text.encode()
        try:
            with urllib.request.urlopen(self.url + path, data, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def count(self, number):
        end = time.monotonic() + 60
        while True:
            status, body = self.ask(f"/texts/{number}")
            if status != 202:
                return status, body
            assert time.monotonic() < end, "nobody has counted"
            time.sleep(0.02)

    def workers(self):
        found = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for children in found for pid in children.read_text().split()]

    def close(self):
        workers = self.workers()
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        for worker in workers:
            os.kill(worker, signal.SIGKILL)


@pytest.fixture
def service():
    service = Service()
    yield service
    service.close()


def test_workers_in_python_serve_a_web_service_in_rust(service):
    assert service.ask("/texts", "one two two") == (201, "1")
    assert service.ask("/texts", "one Two two three") == (201, "2")
    assert service.count(1) == (200, "2")
    assert service.count(2) == (200, "3")
    assert service.ask("/texts/3")[0] == 404
    assert service.ask("/texts/x")[0] == 404
    assert service.ask("/else", "x")[0] == 400
    for worker in service.workers():
        os.kill(worker, signal.SIGKILL)
    assert service.ask("/texts", json.dumps(list(range(100)))) == (201, "3")
    assert service.count(3) == (200, "100")
