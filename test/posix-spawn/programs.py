#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run real programs with libprewarm-spawn.so preloaded, and compare with plain runs.

Output, status and files must be the same. Of a program that calls posix_spawn at least
one call must have been answered by the library, and of none one by the C library.
"""

import argparse
import dataclasses
import pathlib
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True  # this may be run from a tree that is not ours to write to
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # for debian_archive

from posix_spawn_suite import compile_c, trial  # noqa: E402  (needs the path above)

EXPORTS = HERE.parent.parent / "src" / "cold" / "preload.map"
TIMEOUT_S = 120.0

MAKEFILE = """\
all: one two three
	@cat one two three
one two three:
	@printf '%s\\n' $@ | tr a-z A-Z > $@
broken:
	@no-such-command-anywhere; exit 3
"""

NINJA = """\
rule upper
  command = printf '%s\\n' $out | tr a-z A-Z > $out
rule join
  command = cat $in > $out
build one: upper
build two: upper
build all: join one two
"""

C_PROGRAM = """\
#include <stdio.h>
int main(void) { return puts("compiled") < 0; }
"""

# All ways in which the standard library comes to posix_spawn, and one in which it doesn't.
PYTHON = """\
import os, subprocess, sys
run = subprocess.run
print(run(["/bin/echo", "direct"], close_fds=False, stdout=subprocess.PIPE).stdout)
print(run(["/bin/cat"], close_fds=False, input=b"through cat", stdout=subprocess.PIPE).stdout)
print(run(["/bin/sh", "-c", "exit 7"], close_fds=False).returncode)
print(run(["/bin/sh", "-c", "kill -9 $$"], close_fds=False).returncode)
print(run(["echo", "by fork"], stdout=subprocess.PIPE).stdout)
for name in ("/nonexistent", "/etc/passwd", "/"):
    try:
        run([name], close_fds=False)
    except OSError as error:
        print(type(error).__name__, error.errno)
pid = os.posix_spawnp("sh", ["sh", "-c", "echo $0 $X; cat; pwd"], {"X": "y"},
                      file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)],
                      setpgroup=0, setsigdef=[2], setsigmask=[])
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

M4 = """\
esyscmd(`echo by the shell')syscmd(`exit 5')sysval
"""

BISON = """\
%%
sum: 'a' '+' 'a';
%%
"""


@dataclasses.dataclass
class Case:
    name: str
    command: list
    files: dict = dataclasses.field(default_factory=dict)
    spawns: bool = True  # whether it calls posix_spawn at all


CASES = [
    Case("make", ["make", "-j4", "all"], {"Makefile": MAKEFILE}),
    Case("make-fails", ["make", "broken"], {"Makefile": MAKEFILE}),
    Case("ninja", ["ninja", "-v", "-j1", "all"], {"build.ninja": NINJA}),
    Case("python", [sys.executable, "-c", PYTHON]),
    Case("m4", ["m4", "input.m4"], {"input.m4": M4}),
    Case("bison", ["bison", "sum.y"], {"sum.y": BISON}),
    Case("cc", ["gcc", "-o", "program", "program.c"], {"program.c": C_PROGRAM}, spawns=False),
    Case("git", ["git", "-c", "alias.say=!echo said", "say"], spawns=False),
]


def _run(case, environment, skip):
    """Status, output, and each file with what is in it (compiled code but for its length)."""
    with tempfile.TemporaryDirectory(prefix="posix-spawn-") as directory:
        for name, text in case.files.items():
            (pathlib.Path(directory) / name).write_text(text)
        status, output = trial.execute(case.command, environment, directory, TIMEOUT_S)
        files = {}
        for path in sorted(pathlib.Path(directory).rglob("*")):
            if path.is_file() and path.name not in skip:
                files[path.name] = path.read_bytes()
    return status, output.replace(directory, "DIRECTORY"), files


def _compare(case, preloaded):
    """What is wrong, in lines; empty if nothing."""
    skip = (".ninja_log", ".ninja_deps")  # times
    expected = _run(case, {}, skip)
    got = _run(case, preloaded.environment(), skip)
    library, others = preloaded.calls()
    wrong = []
    for what, one, other in zip(("status", "output", "files"), expected, got):
        if one != other:
            wrong.append(f"{what}: {one!r}, but with the library: {other!r}")
    if others:
        wrong.append(f"{others} calls were answered by the C library")
    if case.spawns and library == 0:
        wrong.append("posix_spawn was never called: the test shows nothing")
    print(f"{case.name}: {'failed' if wrong else 'same'} ({library} calls)")
    return wrong


def _self_test(work):
    """With a library that does nothing, each program that spawns must be found out."""
    source, library = work / "nothing.c", work / "nothing.so"
    source.write_text("")
    compile_c("-shared", "-fPIC", "-o", library, source)
    preloaded = trial.Preloaded(library, EXPORTS, work)
    cases = [case for case in CASES if shutil.which(case.command[0])]
    unnoticed = [case.name for case in cases if case.spawns != bool(_compare(case, preloaded))]
    for name in unnoticed:
        print(f"{name}: the library has done nothing, and nobody noticed")
    return len(unnoticed)


def _test(options, work):
    preloaded = trial.Preloaded(options.library, EXPORTS, work)
    failed = 0
    for case in CASES:
        if options.name and case.name not in options.name:
            continue
        if shutil.which(case.command[0]) is None:
            print(f"{case.name}: skipped, {case.command[0]} is not installed")
            continue
        wrong = _compare(case, preloaded)
        failed += bool(wrong)
        for line in wrong:
            print(f"    {line}")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=pathlib.Path, help="path of libprewarm-spawn.so")
    parser.add_argument("name", nargs="*", help="only these")
    parser.add_argument("--self-test", action="store_true", help="show that faults are noticed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="posix-spawn-programs-") as directory:
        work = pathlib.Path(directory)
        failed = _self_test(work) if options.self_test else _test(options, work)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
