# SPDX-License-Identifier: MIT
"""Public test suites of posix_spawn: fetch each, build it, and list its tests."""

import dataclasses
import pathlib
import shutil
import subprocess

from debian_archive import Unavailable


@dataclasses.dataclass
class Test:
    """One program of a suite. Exit status 0 is a pass, 77 "can't be run here"."""

    suite: str
    name: str
    command: list = dataclasses.field(default_factory=list)  # run in a directory of its own
    # A static program can't be preloaded: it is linked a second time, with our functions.
    linked: list = dataclasses.field(default_factory=list)
    files: tuple = ()  # to be copied to its directory
    not_built: str = ""  # why there is no command


class CannotBuild(Exception):
    """The compiler's first complaint."""


def compile_c(*words, cwd=None):
    """Run the C compiler, without warnings: the code is other people's."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Unavailable("no C compiler to build the tests with")
    done = subprocess.run(
        [compiler, "-w", "-O1", "-std=gnu11", "-D_GNU_SOURCE", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        complaints = done.stderr.splitlines() or ["no message"]
        marked = [line for line in complaints if "error" in line or "undefined" in line]
        raise CannotBuild((marked or complaints)[0])


def forward_header(directory, header):
    """Makes one header visible without all that lies beside it."""
    (directory / header.name).write_text(f'#include "{header}"\n')


def fresh_directory(path):
    path = pathlib.Path(path)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
