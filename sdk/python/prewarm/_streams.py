# SPDX-License-Identifier: MIT
"""sys.stdin, sys.stdout and sys.stderr as the interpreter makes them when it starts.

What decides are the variables of the invocation, not those of the worker: PYTHONIOENCODING,
PYTHONUNBUFFERED and the locale's.
"""

from __future__ import annotations

import codecs
import functools
import io
import locale
import os
import sys
import traceback
from typing import Mapping

# Under these LC_CTYPEs Python lets any byte through standard input and output.
_LENIENT = ("C", "POSIX", "C.UTF-8", "C.utf8", "UTF-8")
_NAMES = ("stdin", "stdout", "stderr")


def locale_name(environment: Mapping[bytes, bytes]) -> str:
    for name in (b"LC_ALL", b"LC_CTYPE", b"LANG"):
        value = environment.get(name)
        if value:
            return os.fsdecode(value)
    return "C"


@functools.lru_cache(maxsize=64)
def effective_locale(name: str) -> str:
    """What setlocale makes of a name: itself, or C if there is no such locale."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except locale.Error:
        return "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return "C" if name == "POSIX" else name


def encoding_of(name: str) -> str:
    """The encoding of a locale, to tell two apart: in C and POSIX Python uses UTF-8."""
    name = effective_locale(name)
    codeset = name.partition(".")[2].partition("@")[0]
    if name in _LENIENT or codeset.lower().replace("-", "") == "utf8":
        return "utf-8"
    return name


def coerced(environment: Mapping[bytes, bytes]) -> bool:
    """Would a Python that starts with these set LC_CTYPE to C.UTF-8 (PEP 538)?"""
    return (not environment.get(b"LC_ALL")
            and effective_locale(locale_name(environment)) == "C"
            and (sys.flags.ignore_environment
                 or environment.get(b"PYTHONCOERCECLOCALE") not in (b"0", b"warn"))
            and effective_locale("C.UTF-8") != "C")


@functools.lru_cache(maxsize=64)
def _codec_name(encoding: str) -> str:
    return codecs.lookup(encoding).name


def _codec(environment: Mapping[bytes, bytes]) -> tuple[str, str]:
    encoding, errors = "", ""
    if not sys.flags.ignore_environment:
        chosen = os.fsdecode(environment.get(b"PYTHONIOENCODING", b""))
        encoding, _, errors = chosen.partition(":")
        if encoding and not errors:
            errors = "strict"
    if not errors:
        lenient = effective_locale(locale_name(environment)) in _LENIENT or sys.flags.utf8_mode
        errors = "surrogateescape" if lenient else "strict"
    return _codec_name(encoding or _start_encoding), errors


# Before anybody replaces it. The locale of a running interpreter stays, see encoding_of.
_start_encoding = "utf-8" if sys.flags.utf8_mode else locale.getpreferredencoding(False)


def _make(fd: int, encoding: str, errors: str, unbuffered: bool) -> io.TextIOWrapper | None:
    output = fd != 0
    buffer = open(fd, "wb" if output else "rb", 0 if unbuffered and output else -1, closefd=False)
    raw = buffer if unbuffered and output else buffer.raw
    raw.name = "<%s>" % _NAMES[fd]
    stream = io.TextIOWrapper(
        buffer, encoding, "backslashreplace" if fd == 2 else errors, newline="\n",
        line_buffering=not unbuffered and (fd == 2 or raw.isatty()), write_through=unbuffered)
    stream.mode = "w" if output else "r"
    return stream


def install(environment: Mapping[bytes, bytes]) -> None:
    """New streams over descriptors 0, 1 and 2."""
    encoding, errors = _codec(environment)
    # As the interpreter reads it: the number 0 is no.
    unbuffered = (environment.get(b"PYTHONUNBUFFERED", b"").strip(b"0") != b""
                  and not sys.flags.ignore_environment)
    for fd, name in enumerate(_NAMES):
        try:
            os.fstat(fd)
            stream = _make(fd, encoding, errors, unbuffered)
        except OSError:
            stream = None  # as in a start with a closed descriptor
        setattr(sys, name, stream)
        setattr(sys, "__%s__" % name, stream)


def _write_out(stream: io.TextIOBase | None) -> BaseException | None:
    try:
        if stream is None or stream.closed:
            return None
    except Exception:
        pass  # the tool's own object, or one whose buffer it has taken away
    try:
        stream.flush()
    except BaseException as error:
        return error
    return None


def write_out() -> bool:
    """Flushes as the interpreter does at its end. False, and a message, if output was lost."""
    stream = sys.stdout
    lost = _write_out(stream)
    if lost is not None and sys.stderr is not None:
        try:
            sys.stderr.write("Exception ignored on flushing sys.stdout:\n"
                             if sys.version_info >= (3, 13)
                             else "Exception ignored in: %r\n" % stream)
            sys.stderr.write("".join(traceback.format_exception_only(type(lost), lost)))
        except Exception:
            pass  # nobody is left to be told
    # Where the tool has others in their places, these are written out when they go, without a word.
    for stream in (sys.stderr, sys.__stdout__, sys.__stderr__):
        _write_out(stream)
    return lost is None


def discard() -> None:
    """What could not be written goes to /dev/null, which is what 1 and 2 are now. Else it would
    come out in the next invocation, when these objects end."""
    for stream in (sys.stdout, sys.__stdout__, sys.stderr, sys.__stderr__):
        _write_out(stream)
