# SPDX-License-Identifier: MIT
"""The conformance tool (see ../README.md) in Python: main() is one invocation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys


def put(text: bytes) -> None:
    sys.stdout.buffer.write(text)


def show_env(names: list[str]) -> None:
    for name in os.fsencode("\0".join(names)).split(b"\0") if names else []:
        value = os.environb.get(name)
        put(name + (b"" if value is None else b"=" + value) + b"\0")


def show_umask() -> None:
    mask = os.umask(0)
    os.umask(mask)
    put(b"%04o\n" % mask)


def mix(count: int) -> None:
    for number in range(1, count + 1):
        print("o%d" % number, flush=True)
        print("e%d" % number, file=sys.stderr, flush=True)


def soil() -> None:
    os.environ["CONFORM_SOILED"] = "1"
    os.umask(0o111)
    os.chdir("/")


def pause() -> None:
    print("ready", flush=True)
    sys.stdin.buffer.read()


def leave(path: str) -> None:
    subprocess.Popen(["/bin/sh", "-c", 'cat "$1"', "leave", path], stdin=subprocess.DEVNULL,
                     start_new_session=True)


def child_fds() -> None:
    sys.stdout.flush()
    code = 'for fd in /proc/$$/fd/? /proc/$$/fd/??*; do ' \
           'test ! -e "$fd" || set -- "$@" ${fd##*/}; done; echo "$@"'
    subprocess.run(["/bin/sh", "-c", code], close_fds=False, check=True)


def fail(text: str) -> None:
    raise RuntimeError(text)


def main() -> int:
    command, args = sys.argv[1], sys.argv[2:]
    if command == "argv":
        put(b"".join(os.fsencode(arg) + b"\0" for arg in args))
    elif command == "name":
        put(os.fsencode(sys.argv[0]) + b"\n")
    elif command == "env":
        show_env(args)
    elif command == "pwd":
        put(os.getcwdb() + b"\n")
    elif command == "umask":
        show_umask()
    elif command == "cat":
        put(sys.stdin.buffer.read())
    elif command == "line":
        put(sys.stdin.buffer.readline())
    elif command in ("out", "out-exit"):
        put(os.fsencode(args[0]))
        return int(args[1]) if command == "out-exit" else 0
    elif command == "err":
        sys.stderr.write(args[0])
    elif command == "mix":
        mix(int(args[0]))
    elif command == "big":
        put(b"x" * int(args[0]))
    elif command == "exit":
        sys.exit(int(args[0]))
    elif command == "quit":
        os._exit(int(args[0]))
    elif command == "kill":
        os.kill(os.getpid(), int(args[0]))
        signal.pause()
    elif command == "fail":
        fail(args[0])
    elif command == "soil":
        soil()
    elif command == "pause":
        pause()
    elif command == "leave":
        leave(args[0])
    elif command == "child-fds":
        child_fds()
    else:
        sys.exit("tool: no such command: " + command)
    return 0
