# SPDX-License-Identifier: MIT
"""The ready point by prewarm's agent (include/prewarm/ready.h): this process is held as one that
copies are made of ahead of time, and each invocation is such a copy.

The agent sets what the kernel sets at an exec: descriptors, directory, umask, environment, the
visible command line. Here is what the interpreter makes of it when it starts. The variables that
it reads then are the same at each invocation, or the invocation is not served from here.
"""

from __future__ import annotations

import ctypes
import gc
import io
import os
import signal
import site
import sys
import threading
from typing import Any, Iterator

from prewarm._ready_end import at_end

_VARIABLE = b"PREWARM_READY"
_NOT_HELD = 127
_OWN_SIGNALS = 1
# What Python ignores anyway. Who has changed that would have changed it in a batch run, too.
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_MOST_FILE_BYTES = 48 * 1024  # the agent has 64 KiB for all that is watched
_RECORD_BYTES = 64

_Names = ctypes.POINTER(ctypes.c_char_p)
_SET_MASK = ctypes.PyDLL(None).pthread_sigmask
_SET_MASK.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]


class _Launch(ctypes.Structure):
    """struct prewarm_ready_launch"""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("flags", ctypes.c_uint),
        ("files", _Names),
        ("variables", _Names),
        ("independent", _Names),
        ("in_clone", ctypes.c_void_p),
        ("first", ctypes.c_int),
        ("argc", ctypes.c_int),
        ("argv", _Names),
        ("envp", _Names),
        ("signal_mask", ctypes.c_uint64),
        ("signal_ignored", ctypes.c_uint64),
    ]


def try_ready() -> bool:
    """False if nobody wants to hold this process. Else returns True in each invocation's process,
    with everything in place."""
    held = os.environb.pop(_VARIABLE, None)
    if held is None or int(held) not in (0, os.getpid()):
        return False  # or a child of one that is to be held
    hold = getattr(ctypes.PyDLL(None), "prewarm_ready", None)
    if hold is None:
        os._exit(_NOT_HELD)  # it was started for an agent that isn't there: nobody wants a run
    launch = _describe()
    coerced = os.environb.get(b"LC_CTYPE")
    before_fork = ctypes.pythonapi.PyOS_BeforeFork
    gc.collect()
    at_end()
    gc.freeze()  # so that the collector leaves these pages alone
    before_fork()
    if hold(ctypes.byref(launch)) != 1:
        os._exit(_NOT_HELD)
    _place_environment(_strings(launch.envp), coerced)
    _place_arguments([os.fsdecode(word) for word in _strings(launch.argv)], launch.first)
    _place_streams()
    threading.main_thread()._set_native_id()  # type: ignore[attr-defined]
    _place_signals(launch.signal_mask, launch.signal_ignored)
    return True


# ---- before ----

def _describe() -> _Launch:
    launch = _Launch(size=ctypes.sizeof(_Launch), flags=_OWN_SIGNALS)
    launch.files = _row(_files())
    # site looks for the user's packages by these two.
    launch.variables = _row([b"HOME", b"PYTHONUSERBASE"] if site.ENABLE_USER_SITE else [])
    # It leads to the interpreter, and whoever starts us knows that this is the right one.
    launch.independent = _row([b"PATH"])
    launch.in_clone = ctypes.cast(ctypes.pythonapi.PyOS_AfterFork_Child, ctypes.c_void_p)
    return launch


def _row(names: list[bytes]) -> Any:
    return ctypes.cast((ctypes.c_char_p * (len(names) + 1))(*names, None), _Names)


def _files() -> list[bytes]:
    """The sources of what has been imported; of more than fit, the program's own come first."""
    library = os.path.dirname(os.__file__) + os.sep
    packages = (library + "site-packages", library + "dist-packages")
    names = sorted(set(_sources()), key=lambda name: (
        name.startswith(library) and not name.startswith(packages), name))
    files, room = [], _MOST_FILE_BYTES
    for name in map(os.fsencode, names):
        room -= _RECORD_BYTES + len(name)
        if room < 0:
            break
        files.append(name)
    return files


def _sources() -> Iterator[str]:
    yield os.path.join(sys.prefix, "pyvenv.cfg")
    for module in list(sys.modules.values()):
        loader = getattr(module, "__loader__", None)
        archive = getattr(loader, "archive", None)
        name = archive if isinstance(archive, str) else getattr(module, "__file__", None)
        # Libraries are watched because they are mapped.
        if isinstance(name, str) and not name.endswith(".so"):
            yield os.path.abspath(name)


# ---- after ----

def _strings(row: Any) -> list[bytes]:
    strings = []
    while row[len(strings)] is not None:
        strings.append(row[len(strings)])
    return strings


def _place_environment(strings: list[bytes], coerced: bytes | None) -> None:
    """os.environ in place, which modules hold on to. environ(7) is that of the invocation."""
    environment: dict[bytes, bytes] = {}
    for entry in strings:
        # A name may begin with an equals sign; the first of two entries counts.
        name, equals, value = entry[1:].partition(b"=")
        if equals:
            environment.setdefault(entry[:1] + name, value)
    data = os.environb._data  # type: ignore[attr-defined]
    data.clear()
    data.update(environment)
    # What the interpreter sets itself if the locale is C (PEP 538), which is the same now.
    if coerced is not None and b"LC_CTYPE" not in environment:
        os.environb[b"LC_CTYPE"] = coerced


def _place_arguments(words: list[str], first: int) -> None:
    # Whoever holds on to the list finds them there, too; that there is a new one says that this is
    # an invocation.
    sys.argv[:] = words[first:]
    sys.argv = words[first:]
    if sys.version_info >= (3, 10):
        sys.orig_argv = words


def _place_streams() -> None:
    for fd, stream in enumerate((sys.__stdin__, sys.__stdout__, sys.__stderr__)):
        if isinstance(stream, io.TextIOWrapper):
            _renew(stream, fd)


def _renew(text: io.TextIOWrapper, fd: int) -> None:
    """Makes a stream what it is at the start, over another file, and still the same object: others
    may refer to it, or have put something of their own around its buffer."""
    wrapped = True
    try:
        buffer: Any = text.buffer
    except ValueError:  # detached: whoever did that has the buffer
        buffer = getattr((sys.stdin, sys.stdout, sys.stderr)[fd], "buffer", None)
        wrapped = False
    before = getattr(buffer, "raw", buffer)
    if not isinstance(before, io.FileIO) or before.closed or before.fileno() != fd:
        return
    # It remembers whether its file was seekable, so this one object is new.
    raw: Any = io.FileIO(fd, "wb" if fd else "rb", closefd=False)
    raw.name = "<%s>" % ("stdin", "stdout", "stderr")[fd]
    if buffer is before:
        buffer = raw
    else:
        buffer.__init__(raw, raw._blksize if raw._blksize > 1 else io.DEFAULT_BUFFER_SIZE)
    if not wrapped:
        return
    unbuffered = text.write_through
    line_buffering = (not unbuffered or fd == 0) and (fd == 2 or raw.isatty())
    mode = text.mode
    text.__init__(  # type: ignore[misc]
        buffer, text.encoding, text.errors, newline="\n", line_buffering=line_buffering,
        write_through=unbuffered)
    text.mode = mode  # type: ignore[misc]


def _place_signals(mask: int, ignored: int) -> None:
    """As a start would find them; what the program has set since then stays."""
    for number in signal.valid_signals() if ignored else ():
        if not ignored >> (number - 1) & 1 or number in _IGNORED_BY_PYTHON:
            continue
        handler = signal.getsignal(number)
        own = handler is signal.default_int_handler and number == signal.SIGINT
        if own or handler == signal.SIG_DFL:
            signal.signal(number, signal.SIG_IGN)
    # Last: from here on a signal may end us. Not by the signal module, which takes longer for this
    # than all else here takes together.
    _SET_MASK(signal.SIG_SETMASK, mask.to_bytes(128, "little"), None)
