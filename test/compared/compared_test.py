#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# compared_test.py SOURCES BUILD CC CXX: takes the code out of docs/spawning.md, compiles it, and lets
# each do the job: all give the same words, and each fails where the job can't be done.
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

sources, build = (pathlib.Path(argument) for argument in sys.argv[1:3])
cc, cxx = sys.argv[3:5]
page = sources / "docs" / "spawning.md"
problems = []

# Open in the caller, and may be inherited. Each must see to it that it isn't.
INHERITABLE = 9
os.dup2(os.open("/dev/null", os.O_RDONLY), INHERITABLE)

# Each prints the words, or an error and status 1.
MAINS = {
    "python": """
import sys
try:
    sys.stdout.buffer.write(sorted_words(sys.argv[1]))
except (OSError, subprocess.SubprocessError) as error:
    sys.exit(str(error))
""",
    "posix_spawn": """
int main(int argc, char** argv) {
  static char out[65536];
  const int error = sorted_words(argv[argc - 1], out, sizeof out);
  if (error != 0) return fprintf(stderr, "%s\\n", strerror(error)), 1;
  fputs(out, stdout);
  return 0;
}
""",
    "command": """
#include <iostream>
int main(int, char** argv) {
  const auto out = sorted_words(argv[1]);
  if (!out) return std::cerr << out.error().message() << '\\n', 1;
  std::cout << *out;
}
""",
}
MAINS["ring"] = MAINS["command"]


def check(condition, message):
    if not condition:
        problems.append(message)


def blocks():
    found = re.findall(r"<!-- code: (\w+) -->\n```\w+\n(.*?)```\n", page.read_text(), re.DOTALL)
    check([name for name, _ in found] == ["command", "ring", "python", "folly", "posix_spawn"], "the page's code")
    return dict(found)


def compile_all(directory):
    """Commands that do the job, by name."""
    commands = {}
    for name, code in blocks().items():
        if name == "folly":
            continue
        python, c = name == "python", name == "posix_spawn"
        source = directory / (name + (".py" if python else ".c" if c else ".cc"))
        source.write_text(code + MAINS[name])
        program = directory / name
        commands[name] = [sys.executable, str(source)] if python else [str(program)]
        if python:
            continue
        line = [cc, "-std=c17"] if c else [cxx, "-std=c++23"]
        line += ["-O1", "-Wall", "-Wextra", "-Werror", str(source), "-o", str(program)]
        if not c:
            line += [f"-I{sources / 'include'}", f"-L{build}", "-lprewarm", f"-Wl,-rpath,{build}"]
        done = subprocess.run(line, capture_output=True, text=True)
        if done.returncode != 0:
            check(False, f"{name} doesn't compile: {done.stderr}")
            del commands[name]
    return commands


def run(command, directory, path=os.environ["PATH"]):
    # In a group of its own: what hangs ends with it.
    child = subprocess.Popen([*command, directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             start_new_session=True, pass_fds=[INHERITABLE],
                             env=os.environ | {"PATH": path, "LC_ALL": "C.UTF-8"})
    try:
        out, err = child.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        return None, b"", "it hangs"
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return child.returncode, out, err.decode()


def run_other(command, directory, script):
    place = directory / "bin"
    place.mkdir(exist_ok=True)
    (place / "sort").write_text(f"#!/bin/sh\n{script}\n")
    (place / "sort").chmod(0o755)
    return run(command, directory, f"{place}:/usr/bin:/bin")


def check_job(name, command, directory):
    (directory / "words").write_bytes("b\na\nZ\nb\nä\n".encode())
    done = run(command, directory)
    check(done == (0, "Z\na\nb\nä\n".encode(), ""), f"{name}: {done}")

    (directory / "words").unlink()
    status, out, err = run(command, directory)
    check(status == 1 and not out and "No such file or directory" in err, f"{name}, no words: {status} {out} {err}")
    if name in ("command", "ring"):
        check("open" in err and "words" in err, f"{name} doesn't name the step: {err}")

    (directory / "words").mkdir()  # sort can't read a directory
    status, out, _ = run(command, directory)
    check(status == 1 and not out, f"{name}, a directory for words: {status} {out}")
    (directory / "words").rmdir()

    # It searches, so that another sort can look at what it gets, and one that never ends is ended.
    (directory / "words").write_text("b\na\n")
    if name == "ring":
        return
    done = run_other(command, directory, f'echo "$LC_ALL $* $PWD"; [ ! -e /proc/$$/fd/{INHERITABLE} ] || echo leaked')
    check(done == (0, f"C -u {directory}\n".encode(), ""), f"{name}, another sort: {done}")
    status, out, err = run_other(command, directory, "exec /bin/sleep 100")
    check(status == 1 and not out, f"{name}, a sort that never ends: {status} {out} {err}")


with tempfile.TemporaryDirectory() as temporary:
    programs, place = pathlib.Path(temporary) / "programs", pathlib.Path(temporary) / "place"
    programs.mkdir()
    place.mkdir()
    for each, how in compile_all(programs).items():
        check_job(each, how, place)
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
