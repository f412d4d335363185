# SPDX-License-Identifier: MIT
"""Test suites of others that Debian ships, run by programs that are started from images."""

import os
import pathlib

from image_suite.cases import Case

_GLIB = pathlib.Path("/usr/libexec/installed-tests/glib")
_PYTHON = "/usr/bin/python3"
_PYTHON_TESTS = ("test_json", "test_threading", "test_ctypes", "test_subprocess", "test_struct",
                 "test_mmap", "test_atexit", "test_sqlite3", "test_bz2")
# Times, pids and addresses; and the order in which parallel tests come to an end.
_NOISE = (r"\b\d+(\.\d+)? ?(?:s|sec|min|ms|seconds)\b", r"0x[0-9a-f]+", r"\bpid[ =]\d+",
          r"^.*(?:slowest|random seed).*\n", r"(?<=tmp)\w{6,}",
          r"(?<=[-_])[A-Za-z0-9]{6}(?=/|\.|$)", r"@test_\d+\w*", r"dbus-daemon\[\d+\]")
# They measure time, need a bus, a network or another user, or come out differently by themselves.
_NOT_STABLE = ("timer", "timeloop", "mainloop", "rand", "gdbus", "monitor", "socket", "network",
               "resolver", "performance", "unix-fd", "thread-pool", "sleepy", "slow", "memory-",
               "contexts", "live-g-file", "testing", "credentials", "pollable", "inet", "tls",
               "actions", "closure-refcount", "dbus-", "debugcontroller", "fake-",
               "fdo-", "gmenumodel", "gnotification", "gsubprocess", "io-channel", "mutex",
               "refcount1")
# They abort; two of them where they run as root.
_DIE = ("assert-msg-test", "file", "fileutils", "mapping")


def _glib_cases():
    found = []
    for path in sorted(_GLIB.glob("*")):
        if not path.is_file():
            continue
        with open(path, "rb") as file:
            is_program = file.read(4) == b"\x7fELF"
        if not is_program or not os.access(path, os.X_OK) or ".so" in path.name:
            continue
        if any(word in path.name for word in _NOT_STABLE):
            continue
        found.append(Case(f"glib-{path.name}", [str(path), "--tap"], ignore=_NOISE,
                          dies=path.name in _DIE,
                          ignore_files=("*",), environment={"G_TEST_SRCDIR": str(_GLIB),
                                                            "G_TEST_BUILDDIR": str(_GLIB)}))
    return found


def _python_cases():
    tests = pathlib.Path("/usr/lib/python3.11/test/test_threading.py")
    return [Case(f"python-{name}", [_PYTHON, "-m", "unittest", "-v", f"test.{name}"], needs=(str(tests),),
                 keep=r"^test\w+ \(|^Ran |^OK|^FAILED", ignore=_NOISE, ignore_files=("*",)) for name in _PYTHON_TESTS]


def all_cases():
    cases = _python_cases() + _glib_cases()
    for case in cases:
        case.is_long = True
    return cases
