# SPDX-License-Identifier: MIT
"""python3 -m prewarm.preload MODULE[,MODULE…]: an interpreter that has these modules already.

(Or python3 …/prewarm/preload.py MODULE…, where the package is not on the path.)

As a worker it is held with them imported; each invocation is a fork in which it does what the
interpreter does with these arguments: a script, -m MODULE, -c CODE. What a running interpreter
can't do any more (options, standard input as the script, interaction, other settings) is done by
the real one, which the fork becomes. Without a driver the modules are imported, and that is all.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.machinery
import os
import runpy
import shutil
import signal
import sys
import types
from typing import Callable, NoReturn

# The start's own directory has no place on the path: neither now nor later.
if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]
if not __package__:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import prewarm  # noqa: E402
if not __package__:
    del sys.path[0]

# The interpreter reads these when it starts: with other values than now, it has to start.
_VARIABLES = (
    "PYTHONHOME", "PYTHONPATH", "PYTHONOPTIMIZE", "PYTHONDEBUG", "PYTHONINSPECT", "PYTHONUTF8",
    "PYTHONNOUSERSITE", "PYTHONUSERBASE", "PYTHONWARNINGS", "PYTHONDEVMODE", "PYTHONHASHSEED",
    "PYTHONMALLOC", "PYTHONTRACEMALLOC", "PYTHONFAULTHANDLER", "PYTHONVERBOSE",
    "PYTHONASYNCIODEBUG", "PYTHONPROFILEIMPORTTIME", "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX", "PYTHONSAFEPATH", "PYTHONINTMAXSTRDIGITS", "PYTHONPLATLIBDIR",
    "PYTHONNODEBUGRANGES", "PYTHONWARNDEFAULTENCODING", "PYTHONCASEOK", "PYTHONBREAKPOINT",
    "PYTHONCOERCECLOCALE", "PYTHONEXECUTABLE", "HOME")


class _NotHere(Exception):
    """It has to be done by an interpreter that starts."""


# Modules in packages that are there only because they were asked for, not because their packages
# import them.
_asked: set[str] = set()


def _import(names: str) -> None:
    for name in filter(None, names.split(",")):
        try:
            importlib.import_module(name.rpartition(".")[0] or name)
            if name not in sys.modules:
                _asked.add(name)
            importlib.import_module(name)
        except BaseException as failure:  # a module may do anything, exit for example
            print("prewarm.preload: %s: %s: %s" % (name, type(failure).__name__, failure),
                  file=sys.stderr)


def _settings() -> list[str | None]:
    return [os.environ.get(name) for name in _VARIABLES]


def _called(name: str) -> str:
    """The file that was called by this name."""
    path = os.path.abspath(name) if "/" in name else shutil.which(name)
    if path is None:
        raise _NotHere
    return os.path.abspath(path)


def _is_this_interpreter(path: str) -> bool:
    """By its directory too: the link in a virtual environment is another interpreter."""
    return (os.path.dirname(path) == os.path.dirname(sys.executable)
            and os.path.exists(path) and os.path.samefile(path, sys.executable))


def _real(arguments: list[str]) -> NoReturn:
    try:
        path = _called(arguments[0])
    except _NotHere:
        path = sys.executable
    # Python ignores these; what is executed gets them as they were.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execv(path, arguments)


def _set_first_directory(directory: str) -> None:
    """sys.path[0]. Not if it has a module of which another of this name is imported already."""
    try:
        names = {name.partition(".")[0] for name in os.listdir(directory or ".")}
    except OSError:
        names = set()
    if not names.isdisjoint(name.partition(".")[0] for name in sys.modules if name != "__main__"):
        raise _NotHere
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, directory)


def _new_main(**names: object) -> dict[str, object]:
    """The names of an empty __main__ as the interpreter makes it."""
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins, __annotations__={}, **names)
    sys.modules["__main__"] = module
    return module.__dict__


def _code(arguments: list[str]) -> Callable[[], None]:
    if sys.version_info >= (3, 13):
        raise _NotHere  # it shows lines of the text in tracebacks
    _set_first_directory("")
    text, sys.argv = arguments[0], ["-c", *arguments[1:]]
    names = _new_main(__loader__=importlib.machinery.BuiltinImporter)
    return lambda: exec(compile(text, "<string>", "exec", dont_inherit=True), names)


def _module(arguments: list[str]) -> Callable[[], None]:
    name = arguments[0]
    main = name + ".__main__" if hasattr(sys.modules.get(name), "__path__") else name
    package, _, last = main.rpartition(".")
    if package and main in sys.modules and main not in _asked:
        raise _NotHere  # there is a warning if the package imports what is to be run
    # It is run as __main__ and isn't there by its own name, unless something imports that. What
    # it imports is what was to be there already: the package that it is in, too.
    sys.modules.pop(main, None)
    if package in sys.modules and main in _asked:
        vars(sys.modules[package]).pop(last, None)
    _set_first_directory(os.getcwd())
    sys.argv = ["-m", *arguments[1:]]
    _new_main(__loader__=importlib.machinery.BuiltinImporter)
    # The interpreter itself calls this function for -m.
    return lambda: runpy._run_module_as_main(name)


def _script(arguments: list[str]) -> Callable[[], None]:
    name = arguments[0]
    path = name if os.path.isabs(name) else os.path.join(os.getcwd(), name)
    try:
        if not os.path.isfile(path) or path.endswith(".pyc"):
            raise _NotHere
        with open(path, "rb") as file:
            text = file.read()
    except OSError:
        raise _NotHere from None
    if text.startswith(b"PK") or b"\0" in text:
        raise _NotHere  # an archive with a program in it
    _set_first_directory(os.path.dirname(os.path.realpath(path)))
    sys.argv = arguments
    loader = importlib.machinery.SourceFileLoader("__main__", path)
    names = _new_main(__loader__=loader, __file__=path, __cached__=None)
    return lambda: exec(compile(text, path, "exec", dont_inherit=True), names)


def _prepare(arguments: list[str]) -> Callable[[], None]:
    """What does what the interpreter would do with these; changes nothing if it can't be done."""
    path = _called(arguments[0])
    if not _is_this_interpreter(path) or len(arguments) < 2:
        raise _NotHere
    kind, rest = arguments[1], arguments[2:]
    if kind in ("-c", "-m"):
        if not rest:
            raise _NotHere
        action = _code(rest) if kind == "-c" else _module(rest)
    elif kind.startswith("-") or not kind:
        raise _NotHere
    else:
        action = _script(arguments[1:])
    sys.executable = path
    if sys.version_info >= (3, 10):
        sys.orig_argv = arguments
    return action


def _run(action: Callable[[], None]) -> NoReturn:
    """As the interpreter runs a program: tracebacks begin in the program."""
    code = None
    try:
        action()
    except SystemExit as end:
        code = end.code
    except BaseException as failure:
        code = _fail(failure)
    from prewarm import _ready_end  # it is there, as this process was held
    _ready_end.leave(code)


def _fail(failure: BaseException) -> int:
    trace = failure.__traceback__
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    failure.__traceback__ = trace
    sys.excepthook(type(failure), failure, trace)
    if not isinstance(failure, KeyboardInterrupt):
        return 1
    # The interpreter ends and then kills itself.
    sys.excepthook = lambda *again: None
    raise failure


def main() -> None:
    _import(",".join(sys.argv[1:]))
    settings = _settings()
    if not prewarm.ready():
        return  # there is no driver
    arguments = list(sys.argv)
    try:
        if _settings() != settings:
            raise _NotHere
        action = _prepare(arguments)
    except _NotHere:
        _real(arguments)
    _run(action)


if __name__ == "__main__":
    main()
