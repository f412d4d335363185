# SPDX-License-Identifier: MIT
"""Compile the small programs that bash's tests need, and the shell they are to test."""

import os
import pathlib
import shutil
import subprocess

from .source import Unavailable

HELPERS = ("recho", "zecho", "printenv", "xcase")
HERE = pathlib.Path(__file__).resolve().parent

# The helpers include a little of bash's own portability headers; no configure is
# run, so this says what it would have found on any Linux.
_DEFINES = ["HAVE_STDLIB_H", "HAVE_STRING_H", "HAVE_STRINGS_H", "HAVE_MEMORY_H", "HAVE_UNISTD_H"]


def _compile(words):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Unavailable("no C compiler to build the helpers of bash's tests with")
    subprocess.run([compiler, *words], check=True)


def helpers(tree, directory):
    """Build recho, zecho, printenv and xcase of the source tree into directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.h").write_text("")  # xcase.c includes it without asking
    defines = [f"-D{name}=1" for name in _DEFINES]
    for name in HELPERS:
        source = tree / "support" / f"{name}.c"
        # -w and gnu89: the sources are older than today's warnings and defaults.
        flags = ["-O1", "-w", "-std=gnu89", f"-I{directory}", f"-I{tree}", *defines]
        _compile([*flags, "-o", str(directory / name), str(source)])


def _c_string(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def shells(directory, prewarm, options):
    """Build the two faces of THIS_SH into directory: bash.reference and bash.subject."""
    directory.mkdir(parents=True, exist_ok=True)
    source = str(HERE.parent / "this_sh.c")
    _compile(["-O1", "-o", str(directory / "bash.reference"), source])
    if not prewarm:
        return
    listed = ", ".join([*(_c_string(word) for word in options), "0"])
    _compile(
        [
            "-O1",
            f"-DSUBJECT={_c_string(os.path.abspath(prewarm))}",
            f"-DOPTIONS={listed}",
            "-o",
            str(directory / "bash.subject"),
            source,
        ]
    )
