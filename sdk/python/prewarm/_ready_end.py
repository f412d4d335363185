# SPDX-License-Identifier: MIT
"""The end of a copy of a held process.

An interpreter that ends takes all of its objects apart, which after large imports takes longer than
most invocations. What was there at the ready point is frozen (gc.freeze), and could just be left to
the kernel; but then what only that refers to is not ended, either: a file in a global variable
would not be written out. So before the end it is looked whether anything is alive whose end could
be noticed. Only if it is certain that nothing is may the frozen objects stay, and modules with what
they hold; else all is thawed, and the interpreter ends as it always does.

The collector knows nearly all objects; the few kinds that it doesn't know and that have an end of
their own are looked for as kinds.
"""

from __future__ import annotations

import _thread
import atexit
import collections
import collections.abc
import ctypes
import functools
import gc
import io
import itertools
import os
import re
import sys
import types
import warnings
import weakref
from typing import Any, Iterable, NoReturn

# Objects that do nothing at their end but let go of others.
_HARMLESS = frozenset({
    object, type, dict, list, tuple, set, frozenset, slice, property, staticmethod, classmethod,
    super, enumerate, zip, map, filter, reversed, int, float, complex, str, bytes, bytearray,
    type({}.keys()), type({}.values()), type({}.items()), type(iter([])), type(iter(())),
    type(iter({})), type(iter(set())), types.FunctionType, types.BuiltinFunctionType,
    types.MethodType, types.CellType, types.ModuleType, types.FrameType, types.TracebackType,
    types.MappingProxyType, types.GetSetDescriptorType, types.MemberDescriptorType,
    types.WrapperDescriptorType, types.MethodDescriptorType, types.ClassMethodDescriptorType,
    types.MethodWrapperType, types.SimpleNamespace, types.GenericAlias, functools.partial,
    type(functools.lru_cache(len)), collections.OrderedDict, collections.defaultdict,
    collections.deque, re.Pattern, re.Match, type(collections.abc.Sized._abc_impl),
    type(collections.namedtuple("_", "a").a), itertools.count, type(_thread.allocate_lock()),
    _thread.RLock, _thread._local, io.StringIO, io.BytesIO,
})
_BUFFERS = (io.BufferedReader, io.BufferedWriter)
_SUSPENDED = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
# What an end of theirs writes lies in files, which the collector doesn't know in each version.
_FILES = (("_sqlite3", "Connection"), ("_gdbm", "gdbm"), ("_dbm", "dbm"))
_LIBRARY = os.path.dirname(os.__file__) + os.sep
_EXTENSIONS = os.path.join(_LIBRARY, "lib-dynload") + os.sep
_HAS_COLLECTOR = 1 << 14  # Py_TPFLAGS_HAVE_GC
_DEALLOC_OFFSET = 6 * ctypes.sizeof(ctypes.c_void_p)  # PyTypeObject.tp_dealloc


class _Class:
    pass


def _dealloc(kind: type) -> int | None:
    return ctypes.c_void_p.from_address(id(kind) + _DEALLOC_OFFSET).value


_CLASS_DEALLOC = _dealloc(_Class)


class End:
    """Made before the freeze; `come` is called at exit."""

    def __init__(self) -> None:
        self.status: int | None = None  # if it is known
        self._known: dict[type, bool] = dict.fromkeys(_HARMLESS, True)
        self._may_stay = not any(map(_is_noticed_anyway, gc.get_objects()))

    def come(self) -> None:
        """What is called at exit after this may still leave something behind, or import. So it is
        looked later, at the last thing before all is taken apart: that the standard streams are
        flushed, standard error after standard output. Who has put something else there has that
        flushed, and all taken apart."""
        stream = sys.stderr
        if type(stream) is not io.TextIOWrapper or stream.closed:
            gc.unfreeze()
            return

        def flush() -> None:
            io.TextIOWrapper.flush(stream)
            if sys.is_finalizing():
                del stream.flush  # the stream lives longer than what this refers to
                self._leave()

        stream.flush = flush  # type: ignore[method-assign]

    def _leave(self) -> None:
        quiet = False
        try:
            quiet = (self._may_stay and not sys.flags.verbose and _only_known_kinds()
                     and self._are_harmless(gc.get_objects()))
        finally:
            if not quiet:
                self._known.clear()  # its classes, with their modules, are to end
                gc.unfreeze()
        if not quiet:
            return
        if self.status is not None and _is_flushed(sys.stdout):
            ctypes.PyDLL(None).exit(self.status)
        # The interpreter empties all modules, one by one, which takes longer than all else; those
        # that sys.modules doesn't have any more stay.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(list(sys.modules.values())))
        sys.modules.clear()

    def _are_harmless(self, objects: Iterable[Any]) -> bool:
        known = self._known
        for o in objects:
            kind = type(o)
            harmless = known.get(kind)
            if harmless is None:
                harmless = known[kind] = _is_harmless(kind)
            if not harmless and not _is_quiet_reference(o) and not _is_quiet_file(o):
                return False
            if isinstance(o, type) and _is_unknown_to_collector(o):
                return False
        return True


_end: End | None = None


def at_end() -> None:
    """At the ready point, before the freeze: the end of the copies is to be as above."""
    global _end
    _end = End()
    atexit.register(_end.come)


class _Exit(SystemExit):
    """By which the status is known, if nothing comes between: when the interpreter asks for it, no
    Python code is running. Then not even the interpreter itself needs to be taken apart."""

    def __init__(self, code: Any) -> None:
        super().__init__(code)
        self._code = code

    @property
    def code(self) -> Any:  # type: ignore[override]
        status = 0 if self._code is None else self._code
        if (_end is not None and sys._getframe().f_back is None and type(status) in (int, bool)
                and 0 <= status <= 255):
            _end.status = int(status)
        return self._code


def leave(code: Any) -> NoReturn:
    """Raises SystemExit with this code. What ends by it can end sooner."""
    raise _Exit(code)


def _is_flushed(stream: Any) -> bool:
    """If standard output could not be flushed, it still can't be, and the status says so."""
    if stream is None:
        return True
    try:
        if type(stream) is not io.TextIOWrapper:
            return False
        if not stream.closed:
            stream.flush()
        return True
    except (OSError, ValueError):
        return False


def _is_noticed_anyway(o: Any) -> bool:
    """At the ready point no files are open and no connections, so of what the library offers only
    the exceptions matter."""
    if isinstance(o, type):
        return _is_unknown_to_collector(o)
    if isinstance(o, weakref.ReferenceType):
        return not _is_quiet_reference(o)
    if isinstance(o, _SUSPENDED):
        return True
    return hasattr(type(o), "__del__") and type(o).__module__ != "_io"


def _is_harmless(kind: type) -> bool:
    if kind in _HARMLESS or (kind.__module__ == "builtins" and issubclass(kind, BaseException)):
        return True
    # A class statement's class: without an end of its own it has that of its bases.
    return (_dealloc(kind) == _CLASS_DEALLOC and not hasattr(kind, "__del__")
            and all(map(_is_harmless, kind.__bases__)))


def _is_unknown_to_collector(kind: type) -> bool:
    return (hasattr(kind, "__del__") and not kind.__flags__ & _HAS_COLLECTOR
            and _dealloc(kind) == _CLASS_DEALLOC)


def _is_quiet_reference(o: Any) -> bool:
    if not isinstance(o, weakref.ReferenceType):
        return False
    callback = o.__callback__
    if callback is None or isinstance(callback, types.BuiltinFunctionType):
        return True
    module = sys.modules.get(getattr(callback, "__module__", None) or "")
    name = getattr(module, "__file__", None) or ""
    return name.startswith(_LIBRARY) and "-packages" not in name


def _is_quiet_file(o: Any) -> bool:
    """One that has nothing to write: the kernel closes it as well."""
    kind = type(o)
    if kind is io.FileIO:
        return o.closed or not o.closefd or not _warns_of_files()
    if kind is io.BufferedReader:
        return o.closed or _is_quiet_file(o.raw)
    if kind is io.BufferedWriter:
        return o.closed
    if kind is io.TextIOWrapper:
        try:
            return type(o.buffer) in _BUFFERS and _is_quiet_file(o.buffer)
        except ValueError:
            return True  # it was detached
    return False


def _warns_of_files() -> bool:
    for action, message, category, module, _ in warnings.filters:
        if issubclass(ResourceWarning, category):
            return action != "ignore" or message is not None or module is not None
    return True


def _only_known_kinds() -> bool:
    """Extensions that aren't the library's may have objects that the collector doesn't know."""
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if isinstance(name, str) and name.endswith(".so") and not name.startswith(_EXTENSIONS):
            return False
    for name, kind in _FILES:
        found = getattr(sys.modules.get(name), kind, None)
        if isinstance(found, type) and not found.__flags__ & _HAS_COLLECTOR:
            return False
    return True
