"""``python -m coheld`` runs a program just as python itself does."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import marks
import pytest
import subject

pytestmark = marks.coheld_only

SHOW = """
'''A program that shows how it was started.'''
import sys
names = ["__name__", "__file__", "__package__", "__doc__", "__cached__", "__annotations__"]
print([globals().get(name) for name in names], sorted(globals()))
print(__spec__ and __spec__.name, type(__loader__).__name__, type(__builtins__).__name__)
print(sys.argv, sys.path[0], sys.modules["__main__"].__dict__ is globals())
"""

FILES = {
    "show.py": SHOW,
    "package/__init__.py": "",
    "package/__main__.py": SHOW,
    "package/module.py": SHOW,
    "package/raises.py": "1 / 0\n",
    "folder/__main__.py": SHOW,
    "empty/no_main.py": "",
    "syntax_error.py": "def f(:\n",
    "raises.py": "def f():\n    1 / 0\n\nf()\n",
    "raises_from.py": "raise ValueError('a') from KeyError('b')\n",
    "reraises.py": "try:\n    1 / 0\nexcept Exception as e:\n    raise e.with_traceback(None)\n",
    "imports.py": "import no_such_module\n",
    "hook.py": "import sys\nsys.excepthook = lambda *a: print('hook', *a[:2])\n1 / 0\n",
    "exit_number.py": "import sys\nprint(sys.exit(7))\n",
    "exit_text.py": "import sys\nsys.exit('bye')\n",
    "exit_late.py": "import atexit\natexit.register(print, 'late')\nprint('first')\n",
    "interrupt.py": "raise KeyboardInterrupt\n",
    "encoded.py": "# coding: latin-1\nprint(ascii('\xe9'))\n",
    "future.py": "from __future__ import annotations\nx: no_such_type\nprint(__annotations__)\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with programs of all kinds."""
    folder = tmp_path_factory.mktemp("programs")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="latin-1")
    (folder / "folder" / "link.py").symlink_to(folder / "show.py")
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr("__main__.py", SHOW)
    return folder


def run(folder, *arguments, flags=(), stdin="print('from stdin', __name__)"):
    """Output, errors and exit status of a Python program."""
    ended = subprocess.run(
        [sys.executable, *flags, *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=50,
    )
    return ended.stdout, ended.stderr, ended.returncode


def run_with_coheld(folder, *arguments, flags=(), **options):
    return run(folder, *arguments, flags=(*flags, "-m", "coheld"), **options)


SCRIPTS = [
    *(name for name in FILES if "/" not in name),
    "./show.py",
    "folder/../show.py",
    "folder/link.py",
    "folder",
    "folder/",
    "archive.zip",
    "empty",
    "missing.py",
    "missing/missing.py",
    "-",
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_script(folder, script):
    arguments = (script, "a", "-m", "--help")
    assert run_with_coheld(folder, *arguments) == run(folder, *arguments)


@pytest.mark.parametrize(
    "module",
    ["show", "package", "package.module", "package.raises", "folder", "missing", "package.missing"],
)
def test_module(folder, module):
    arguments = ("-m", module, "a", "-m", "--help")
    assert run_with_coheld(folder, *arguments) == run(folder, *arguments)


@pytest.mark.parametrize("code", [SHOW, "1 / 0", "def f(:", "import sys; sys.exit(3)"])
def test_code(folder, code):
    arguments = ("-c", code, "a", "-m", "--help")
    assert run_with_coheld(folder, *arguments) == run(folder, *arguments)


@pytest.mark.parametrize("arguments", [("show.py",), ("-c", SHOW)])
@pytest.mark.parametrize("flags", [("-I",), ("-O", "-B"), ("-X", "dev")])
def test_flags_of_python(folder, flags, arguments):
    expected = run(folder, *arguments, flags=flags)
    assert run_with_coheld(folder, *arguments, flags=flags) == expected


@pytest.mark.skipif(sys.version_info < (3, 11), reason="-P is of Python 3.11")
def test_safe_path(folder):
    expected = run(folder, "show.py", flags=("-P",))
    assert run_with_coheld(folder, "show.py", flags=("-P",)) == expected


def test_compiled_file(folder):
    import py_compile

    py_compile.compile(str(folder / "show.py"), cfile=str(folder / "compiled.pyc"))
    assert run_with_coheld(folder, "compiled.pyc", "a") == run(folder, "compiled.pyc", "a")


def test_unreadable_file(folder):
    if os.geteuid() == 0:
        pytest.skip("everything can be read by this user")
    (folder / "secret.py").touch(mode=0)
    assert run_with_coheld(folder, "secret.py") == run(folder, "secret.py")


def test_help_and_version(folder):
    import coheld

    for option in ("-h", "--help"):
        out, err, status = run_with_coheld(folder, option)
        assert out.startswith("usage: python -m coheld SCRIPT") and (err, status) == ("", 0)
    for option in ("-V", "--version"):
        assert run_with_coheld(folder, option) == (f"coheld {coheld.__version__}\n", "", 0)


@pytest.mark.parametrize("arguments", [(), ("-m",), ("-c",), ("--nonsense",), ("-x", "show.py")])
def test_misuse(folder, arguments):
    out, err, status = run_with_coheld(folder, *arguments)
    assert (out, status) == ("", 2)
    assert err.startswith("usage: ") and "python -m coheld: " in err


PROGRAM = """
import multiprocessing
import multiprocessing.managers
import sys
from multiprocessing.managers import BaseManager, BaseProxy, SyncManager

class Numbers(list):
    pass

class Mine(BaseManager):
    pass

Mine.register("numbers", list)
CLASSES = [BaseManager, BaseProxy, multiprocessing.managers.SyncManager]
SEEN = [class_.__module__ for class_ in CLASSES]

def grandchild(shared, name):
    shared[name] = SEEN

def child(shared, name):
    shared[name] = SEEN
    shared[name + " own"] = multiprocessing.Manager().dict(a=1).copy()
    process = multiprocessing.Process(target=grandchild, args=(shared, "grandchild"))
    process.start()
    process.join()

def count(numbers):
    return len(numbers)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    with multiprocessing.Manager() as manager:
        shared = manager.dict()
        assert isinstance(shared, BaseProxy) and isinstance(manager, SyncManager)
        process = multiprocessing.Process(target=child, args=(shared, "child"))
        process.start()
        process.join()
        with multiprocessing.Pool(1) as pool:
            assert pool.map(count, [manager.list([1, 2])]) == [2]
        shared["self"] = SEEN
        for name in sorted(shared.keys()):
            print(name, shared[name])
        print(type(manager).__module__, process.exitcode)
    print("end")
"""

EXPECTED = """\
child {modules}
child own {{'a': 1}}
grandchild {modules}
self {modules}
coheld.managers 0
end
"""


@pytest.mark.parametrize("start_method", subject.START_METHODS)
@pytest.mark.parametrize("how", ["script", "module"])
def test_all_processes_of_a_program(tmp_path, start_method, how):
    (tmp_path / "program.py").write_text(PROGRAM)
    arguments = ["program.py"] if how == "script" else ["-m", "program"]
    out, err, status = run_with_coheld(tmp_path, *arguments, start_method)
    modules = ["coheld.managers"] * 3
    assert (out, err, status) == (EXPECTED.format(modules=modules), "", 0)
