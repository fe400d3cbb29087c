"""``python -m coheld``: run an unchanged program with Coheld in the place of stock managers."""

import builtins
import importlib.machinery
import io
import linecache
import os
import pkgutil
import runpy
import sys
import types

from . import __version__, install

_USAGE = """\
usage: python -m coheld SCRIPT [ARGUMENT...]
       python -m coheld -m MODULE [ARGUMENT...]
       python -m coheld -c CODE [ARGUMENT...]

Run a Python program as python itself would, with Coheld in the place of
multiprocessing.managers, in all its processes. SCRIPT may be - for the
standard input, or a folder or zip file with a __main__.py.

  -h, --help     show this text and exit
  -V, --version  show the version of Coheld and exit
"""


def main():
    """Run what the command line names."""
    argument, *others = sys.argv[1:] or [None]
    if argument in ("-h", "--help"):
        print(_USAGE, end="")
    elif argument in ("-V", "--version"):
        print(f"coheld {__version__}")
    elif argument is None:
        _refuse("there is no program to be run")
    elif argument in ("-m", "-c"):
        if not others:
            _refuse(f"an argument is missing after {argument}")
        run = _run_module if argument == "-m" else _run_code
        _run(run, others[0], [argument, *others[1:]])
    elif argument.startswith("-") and argument != "-":
        _refuse(f"there is no option {argument}")
    else:
        _run(_run_script, argument, sys.argv[1:])


def _refuse(reason):
    print(f"{_USAGE}\npython -m coheld: {reason}", file=sys.stderr)
    sys.exit(2)


def _run(function, argument, argv):
    """Run a program in a main module of its own. What it raises looks as if we were not there."""
    install()
    sys.argv[:] = argv
    try:
        function(argument)
    except SystemExit:
        raise
    except BaseException as error:
        sys.excepthook = _without_us(sys.excepthook, error)
        raise


def _run_module(name):
    _new_main()
    runpy._run_module_as_main(name)


def _run_code(code):
    _set_path("")
    if sys.version_info >= (3, 13):
        # Since then tracebacks show the lines.
        linecache.cache["<string>"] = (len(code), None, code.splitlines(True), "<string>")
    _execute(compile(code, "<string>", "exec", dont_inherit=True), _new_main())


def _run_script(path):
    if path == "-":
        _set_path("")
        source = sys.stdin.buffer.read()
        _execute(compile(source, "<stdin>", "exec", dont_inherit=True), _new_main())
        return
    full_path = os.path.join(os.getcwd(), path)
    if pkgutil.get_importer(full_path) is not None:
        # A folder or a zip file.
        _set_path(full_path)
        _new_main()
        runpy._run_module_as_main("__main__", alter_argv=False)
        return
    _set_path(os.path.dirname(os.path.realpath(path)))
    try:
        file = io.open_code(full_path)
    except OSError as error:
        python = getattr(sys, "orig_argv", [sys.executable])[0]
        reason = f"[Errno {error.errno}] {error.strerror}"
        print(f"{python}: can't open file {full_path!r}: {reason}", file=sys.stderr)
        sys.exit(2)
    with file:
        # Of a compiled file, the code; of any other, nothing.
        code = pkgutil.read_code(file)
        if code is None:
            file.seek(0)
            source = file.read()
    if code is None:
        loader = importlib.machinery.SourceFileLoader("__main__", full_path)
        code = compile(source, full_path, "exec", dont_inherit=True)
    else:
        loader = importlib.machinery.SourcelessFileLoader("__main__", full_path)
    _execute(code, _new_main(__file__=full_path, __cached__=None, __loader__=loader))


def _set_path(first):
    """Have imports look where python itself would have them look first."""
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        # What is there was put there for `python -m`.
        sys.path[0] = first


def _new_main(**attributes):
    """Make the module in which the program is run."""
    module = types.ModuleType("__main__")
    defaults = {"__builtins__": builtins, "__loader__": importlib.machinery.BuiltinImporter}
    vars(module).update({**defaults, **attributes})
    if sys.version_info < (3, 14):
        module.__annotations__ = {}
    sys.modules["__main__"] = module
    return module


def _execute(code, module):
    exec(code, vars(module))


def _without_us(excepthook, error):
    """The hook for an exception that ends the program, without our frames in its traceback."""

    def hook(kind, value, traceback):
        if value is error:
            traceback = _beyond_us(traceback)
            value = value.with_traceback(traceback)
        excepthook(kind, value, traceback)

    return hook


def _beyond_us(traceback):
    """What follows the last frame of ours."""
    rest = entry = traceback
    while entry is not None:
        if entry.tb_frame.f_code.co_filename == __file__:
            rest = entry.tb_next
        entry = entry.tb_next
    return rest


if __name__ == "__main__":
    main()
