# SPDX-License-Identifier: MIT
"""In place of the command under test: plain bash, with one fault. stand_in.py FAULT run … SCRIPT"""

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

OPTIONS_WITH_VALUE = ("--stats-json", "--isolation", "--max-warm")


def programs_on_path():
    """The programs in the first directory of PATH: those that the case is about."""
    directory = pathlib.Path(os.environ["PATH"].split(":")[0])
    return sorted(p for p in directory.iterdir() if p.is_file() and os.access(p, os.X_OK))


def companion(comm=None, directory=None, keep=False):
    """A child of the shell to be, that ends with it; it keeps descriptors if `keep`."""
    if os.fork() != 0:
        return
    prctl = ctypes.CDLL(None).prctl
    prctl(1, signal.SIGKILL, 0, 0, 0)
    if comm:
        prctl(15, comm.encode(), 0, 0, 0)
    if directory:
        os.chdir(directory)
    if not keep:
        os.closerange(0, 1000)
    signal.pause()


def chatty():
    print("prewarm: can't park anything", file=sys.stderr, flush=True)


def twice():
    subprocess.run(["bash", *script()], check=False)


def loses():
    directory = tempfile.mkdtemp()
    wrapper = pathlib.Path(directory) / "seq"
    wrapper.write_text('#!/bin/sh\n[ "$1" = 11 ] && exit 0\nexec /usr/bin/seq "$@"\n')
    wrapper.chmod(0o755)
    os.environ["PATH"] = f"{directory}:{os.environ['PATH']}"


def other_status():
    sys.exit(subprocess.run(["bash", *script()], check=False).returncode + 1 & 0xFF)


def hangs():
    signal.pause()


def leaves_process():
    # Of the same session, and for longer than anybody looks.
    subprocess.Popen(["sleep", "20"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)


def leaves_file():
    tempfile.mkstemp()


def keeps_descriptors():
    companion(keep=True)


def named_child():
    companion(comm=programs_on_path()[0].name)


def odd_parked():
    companion(comm="prewarm-parked", directory="/usr", keep=True)


def stale():
    directory = tempfile.mkdtemp()
    for program in programs_on_path():
        shutil.copy2(program, directory)
    os.environ["PATH"] = f"{directory}:{os.environ['PATH']}"


def deaf():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def changes_terminal():
    subprocess.run(["stty", "-echo"], check=False)


def runs_program():
    subprocess.run([programs_on_path()[0], "--version"], capture_output=True, check=False)


def script():
    words = sys.argv[3:]
    while words and words[0].startswith("-"):
        words = words[2 if words[0] in OPTIONS_WITH_VALUE else 1 :]
    return words


def main():
    # Python ignores these.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    globals()[sys.argv[1]]()
    os.execvp("bash", ["bash", *script()])


if __name__ == "__main__":
    main()
