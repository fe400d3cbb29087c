"""Index source files with several processes that share everything they know.

Workers take files from one shared queue, count the words of each file into shared dictionaries and
report how far they are. The program does all of that twice under each start method: first with
Python's own ``multiprocessing.Manager``, then with Coheld's. The code is the same for both; only
the import in ``manager_class`` differs. Both results are compared with a plain count made in one
process and without sharing, then both times and their ratio are printed.

    python examples/index_sources.py                     the standard library of this Python
    python examples/index_sources.py FOLDER --files 0    every file below FOLDER
    python examples/index_sources.py --only coheld       one of the two

No dict is written by two workers under the same key, because ``d[k] = d[k] + 1`` is two operations;
the one number that all of them change stands behind a lock:

* ``work``      Queue of paths, each of which goes to one worker; ``None`` says that it was the last
* ``words``     worker number -> a nested dict of word counts, written by that worker alone
* ``files``     file type -> a nested dict of path -> (lines, words), each path written once
* ``progress``  Value: files done so far; ``lock`` is held while it is changed
* ``settings``  a Namespace that all workers read
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time

START_METHODS = ("fork", "spawn", "forkserver")
KINDS = ("stock", "coheld")
BAR_WIDTH = 30

# What a finished run leaves behind: the merged counts, the files seen, and how long it took.
Index = collections.namedtuple("Index", "words files seconds")


def manager_class(kind: str):
    """The one difference between the two programs."""
    if kind == "stock":
        from multiprocessing import Manager
    else:
        from coheld import Manager
    return Manager


@contextlib.contextmanager
def interrupts_held():
    """Keep Ctrl-C waiting while processes are started.

    An interrupt in the middle of a start would leave a process that nobody knows of. The children
    inherit the blocked signal, which suits them: the parent answers Ctrl-C for everybody.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def count_words(path: str, pattern: str, minimum_length: int) -> tuple[collections.Counter, int]:
    """The words of one file and its number of lines; odd bytes are no reason to stop."""
    counts: collections.Counter = collections.Counter()
    lines = 0
    with open(path, encoding="utf-8", errors="replace") as source:
        for line in source:
            lines += 1
            counts.update(word for word in re.findall(pattern, line) if len(word) >= minimum_length)
    return counts, lines


def work_through(number: int, settings, work, words, files, progress, lock) -> None:
    """One worker: take a file, index it, say so, until no file is left."""
    # The fork server does not pass on its mask, and a traceback per worker would hide the message.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pattern, minimum_length = settings.pattern, settings.minimum_length
    own_words = words[number]
    while True:
        path = work.get()
        if path is None:
            return
        try:
            counts, lines = count_words(path, pattern, minimum_length)
        except OSError as problem:
            print(f"worker {number}: skipped: {problem}", file=sys.stderr)
            counts, lines = collections.Counter(), 0
        for word, count in counts.items():
            own_words[word] = own_words.get(word, 0) + count
        files[file_type(path)][path] = (lines, sum(counts.values()))
        with lock:
            progress.value += 1


def file_type(path: str) -> str:
    return os.path.splitext(path)[1] or "(none)"


class Bar:
    """A progress bar on standard error, drawn only where somebody can see it move."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total
        self.visible = sys.stderr.isatty()

    def draw(self, done: int) -> None:
        if self.visible:
            filled = BAR_WIDTH * done // max(self.total, 1)
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            sys.stderr.write(f"\r{self.label:<20} [{bar}] {done}/{self.total}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self.visible:
            sys.stderr.write("\r" + " " * (BAR_WIDTH + 44) + "\r")
            sys.stderr.flush()


def index(manager, paths: list[str], options, label: str):
    """Index the paths with a manager; returns the result and the shared dict of all words."""
    started = time.perf_counter()
    settings = manager.Namespace(pattern=options.pattern, minimum_length=options.minimum_length)
    work = manager.Queue()
    words = manager.dict({number: manager.dict() for number in range(options.workers)})
    files = manager.dict({kind: manager.dict() for kind in sorted(set(map(file_type, paths)))})
    progress, lock = manager.Value("i", 0), manager.Lock()

    workers = [
        multiprocessing.Process(
            target=work_through, args=(number, settings, work, words, files, progress, lock)
        )
        for number in range(options.workers)
    ]
    bar = Bar(label, len(paths))
    try:
        with interrupts_held():
            for worker in workers:
                worker.start()
        for path in paths + [None] * options.workers:
            work.put(path)
        running = {worker.sentinel: worker for worker in workers}
        while running:
            bar.draw(progress.value)
            for sentinel in multiprocessing.connection.wait(list(running), timeout=0.2):
                running.pop(sentinel).join()
    finally:
        bar.clear()
        for worker in workers:
            if worker.pid is not None and worker.is_alive():
                worker.terminate()
                worker.join()
    for worker in workers:
        if worker.exitcode != 0:
            raise SystemExit(f"error: a worker ended with exit status {worker.exitcode}")

    # One dict of all words. The workers are gone, so reading and writing back is safe here.
    all_words = manager.dict()
    for number in range(options.workers):
        for word, count in words[number].items():
            all_words[word] = all_words.get(word, 0) + count
    seconds = time.perf_counter() - started
    seen = {kind: files[kind].copy() for kind in files.keys()}
    return Index(all_words.copy(), seen, seconds), all_words


def index_alone(paths: list[str], options) -> Index:
    """The same index, made by this process without sharing anything: what both must arrive at."""
    started = time.perf_counter()
    words: collections.Counter = collections.Counter()
    files: dict[str, dict] = {kind: {} for kind in map(file_type, paths)}
    for path in paths:
        try:
            counts, lines = count_words(path, options.pattern, options.minimum_length)
        except OSError:
            counts, lines = collections.Counter(), 0
        words.update(counts)
        files[file_type(path)][path] = (lines, sum(counts.values()))
    return Index(dict(words), files, time.perf_counter() - started)


def find_files(folder: str, suffixes: tuple[str, ...], limit: int) -> list[str]:
    """Source files below the folder, at most `limit` of them, taken evenly from the whole tree."""
    found = []
    for parent, folders, names in os.walk(folder):
        # Installed packages are not the standard library, and caches are not sources.
        folders[:] = sorted(
            set(folders) - {"site-packages", "dist-packages", "__pycache__", ".git"}
        )
        found.extend(
            os.path.join(parent, name) for name in sorted(names) if name.endswith(suffixes)
        )
    if limit and len(found) > limit:
        found = [found[position * len(found) // limit] for position in range(limit)]
    return found


def top(words: dict, number: int) -> list[tuple[str, int]]:
    return sorted(words.items(), key=lambda entry: (-entry[1], entry[0]))[:number]


def read_in_rust(words, key: str, program: str) -> bool:
    """Let a Rust program print the top words of the shared dict; true if it read what we read."""
    print("\nThe shared dict, read by a Rust program while the manager is open:", flush=True)
    # The token says where the dict is; the key proves that the reader may look. The key goes by the
    # environment because a command line is visible to every user of the machine.
    done = subprocess.run(
        [program, words._token.text],
        env=dict(os.environ, COHELD_AUTHKEY=key),
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    if done.returncode != 0:
        print(f"error: {program} ended with exit status {done.returncode}", file=sys.stderr)
        return False
    print(done.stdout, end="")
    lines = [line.split() for line in done.stdout.splitlines()]
    read = [(word, int(count)) for count, word in lines]
    if read != top(words.copy(), len(read)):
        print("error: that is not what this process reads", file=sys.stderr)
        return False
    return True


def keep_open(words, key: str, path: str) -> None:
    """Write down where the dict is and how to get at it, and wait until nobody needs it."""
    # Only the owner may read it: the file holds the key as well.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{words._token.text}\n{key}\n")
    print(f"\nToken and key are in {path}; the manager stays open. For example:")
    print(f'  COHELD_AUTHKEY=$(sed -n 2p {path}) top_words "$(sed -n 1p {path})"')
    with contextlib.suppress(EOFError):
        input("Press Enter to close it. ")


def show_to_others(paths: list[str], options) -> bool:
    """Index once more, and let somebody else look at the dict before the manager is closed."""
    with interrupts_held():
        manager = manager_class("coheld")()
    with manager:
        _, words = index(manager, paths, options, "for others")
        key = bytes(manager._authkey).hex()
        right = read_in_rust(words, key, options.top_words) if options.top_words else True
        if options.token_file:
            keep_open(words, key, options.token_file)
    return right


def run_once(kind: str, method: str, paths: list[str], options) -> Index:
    with interrupts_held():
        manager = manager_class(kind)()
    with manager:
        return index(manager, paths, options, f"{kind} {method}")[0]


def run_all(paths: list[str], options) -> bool:
    """Every start method with every kind of manager; true if all results are right."""
    alone = index_alone(paths, options)
    total = sum(
        count for _, count in (entry for kind in alone.files.values() for entry in kind.values())
    )
    print(
        f"{len(paths)} files, {total:,} words, {len(alone.words):,} different; "
        f"{options.workers} workers; one process without sharing takes {alone.seconds:.2f} s"
    )
    print(
        f"{'':<12}" + "".join(f"{kind:>12}" for kind in options.kinds) + f"{'ratio':>10}   result"
    )

    right = True
    for method in options.methods:
        # The default start method is what `Process` and `Manager()` use, stock and Coheld alike.
        multiprocessing.set_start_method(method, force=True)
        results = {}
        for kind in options.kinds:
            results[kind] = run_once(kind, method, paths, options)
        same = all(
            result.words == alone.words and result.files == alone.files
            for result in results.values()
        )
        right = right and same
        times = "".join(f"{result.seconds:>10.2f} s" for result in results.values())
        ratio = "-"
        if len(results) == 2:
            ratio = f"{results['stock'].seconds / results['coheld'].seconds:.1f}x"
        print(f"{method:<12}{times}{ratio:>10}   {'the same' if same else 'WRONG'}", flush=True)

    words = ", ".join(f"{word} {count}" for word, count in top(alone.words, 10))
    print(f"Most frequent: {words}")
    if options.top_words or options.token_file:
        right = show_to_others(paths, options) and right
    return right


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Index source files with processes that share their structures: "
        "the stock manager against Coheld."
    )
    parser.add_argument(
        "folder",
        nargs="?",
        default=sysconfig.get_paths()["stdlib"],
        help="where to look for files (default: Python's standard library)",
    )
    parser.add_argument(
        "--files",
        type=int,
        default=300,
        metavar="N",
        help="at most N files, 0 for all (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=4,
        metavar="N",
        help="number of worker processes (default: %(default)s)",
    )
    parser.add_argument(
        "--suffix",
        action="append",
        metavar=".EXT",
        help="file types to index (default: .py); may be repeated",
    )
    parser.add_argument(
        "--methods",
        default=",".join(START_METHODS),
        help="start methods, separated by commas (default: %(default)s)",
    )
    parser.add_argument("--only", choices=KINDS, help="run one kind of manager only")
    parser.add_argument(
        "--top-words",
        metavar="PROGRAM",
        help="the Rust program that prints the top words of the shared dict",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="write the dict's token and key there and keep the manager open",
    )
    options = parser.parse_args(arguments)
    options.kinds = (options.only,) if options.only else KINDS
    options.methods = tuple(options.methods.split(","))
    options.suffixes = tuple(options.suffix or [".py"])
    options.pattern, options.minimum_length = r"[^\W\d]\w*", 3
    unknown = set(options.methods) - set(multiprocessing.get_all_start_methods())
    if unknown:
        parser.error(f"unknown start method: {', '.join(sorted(unknown))}")
    if options.workers < 1 or options.files < 0:
        parser.error("--workers must be at least 1 and --files at least 0")
    if not os.path.isdir(options.folder):
        parser.error(f"not a folder: {options.folder}")
    if (options.top_words or options.token_file) and "coheld" not in options.kinds:
        parser.error("--top-words and --token-file read Coheld's dict: leave out --only stock")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    paths = find_files(options.folder, options.suffixes, options.files)
    if not paths:
        print(
            f"error: no {' or '.join(options.suffixes)} files below {options.folder}",
            file=sys.stderr,
        )
        return 2
    try:
        return 0 if run_all(paths, options) else 1
    except (OSError, subprocess.TimeoutExpired) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; workers and manager are closed", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
