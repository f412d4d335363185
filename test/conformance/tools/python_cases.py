# SPDX-License-Identifier: MIT
"""A tool whose invocations show what a Python program can observe of its start and its end.

python_cases.py is a worker or a batch process; CASES_MODE says whether by serve() or by ready().
"""

from __future__ import annotations

import atexit
import concurrent.futures
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from typing import Any, Callable

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../sdk/python"))

import prewarm  # noqa: E402

CASES: dict[str, Callable[[], Any]] = {}


def case(function: Callable[[], Any]) -> Callable[[], Any]:
    CASES[function.__name__] = function
    return function


@case
def exits() -> Any:
    code = {"none": None, "true": True, "text": "some text", "bytes": b"x", "huge": 2 ** 70,
            "list": [1, 2], "empty": ""}.get(sys.argv[2])
    print("before", end="")
    sys.exit(int(sys.argv[2]) if sys.argv[2].lstrip("-").isdigit() else code)


@case
def returns() -> Any:
    return {"none": None, "text": "some text", "seven": 7}[sys.argv[2]]


@case
def raises() -> None:
    print("before")
    try:
        {}["key"]
    except KeyError as error:
        raise ValueError("ä\nsecond line") from error


@case
def interrupted() -> None:
    print("before", end="")
    raise KeyboardInterrupt


@case
def interrupted_by_signal() -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    finally:
        print("finally")


@case
def own_excepthook() -> None:
    sys.excepthook = lambda kind, value, trace: print("hook:", value, file=sys.stderr)
    raise ValueError("hooked")


@case
def at_exit() -> None:
    def fails() -> None:
        raise ValueError("in atexit")

    def gone() -> None:
        print("not this one")

    atexit.register(print, "first registered")
    atexit.register(fails)
    atexit.register(gone)
    atexit.register(print, "last", "registered", sep="-")
    atexit.unregister(gone)
    print("main")


@case
def environment() -> None:
    for name, value in os.environb.items():
        print(name, value)
    sys.stdout.flush()
    subprocess.run(["env"], check=True)


@case
def streams() -> None:
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        print(stream.name, stream.mode, stream.encoding, stream.errors, stream.line_buffering,
              stream.write_through, stream.fileno(), stream.isatty(), type(stream.buffer).__name__,
              stream.newlines)
    print(sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__)
    print(ascii(sys.stdin.read()))
    print(ascii(sys.argv))
    print("".join(sys.argv[2:]), file=sys.stderr)


@case
def state() -> None:
    mask = os.umask(0)
    print(os.getcwd(), oct(mask))
    numbers = sorted(signal.valid_signals())
    print({int(n): str(signal.getsignal(n)).split(" at ")[0] for n in numbers})
    print(signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]))
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.alarm(1000)
    os.chdir("/")
    os.environ["LEFT"] = "over"
    print(threading.active_count(), threading.current_thread().name)
    descriptors = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
    print([fd for fd in descriptors if fd < 10])


@case
def threads() -> None:
    def late() -> None:
        threading.Event().wait(0.05)
        print("late")

    threading.Thread(target=late).start()
    print("main ends")


@case
def daemon_thread() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    print("main ends")
    sys.exit(5)


POOL: list[concurrent.futures.Executor] = []


@case
def pool() -> None:
    POOL.append(concurrent.futures.ThreadPoolExecutor(2))
    POOL[0].submit(print, "in the pool").result()


@case
def processes() -> None:
    process = multiprocessing.get_context("fork").Process(target=print, args=("in a process",))
    process.start()


@case
def forks() -> None:
    pid = os.fork()
    if pid == 0:
        print("child")
        sys.exit(3)
    print("parent", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


@case
def closes_output() -> None:
    print("before")
    sys.stdout.close()
    sys.exit(4)


@case
def replaces_output() -> None:
    sys.stdout = open(sys.stdout.detach().fileno(), "w", encoding="latin-1", closefd=False)
    print("ä replaced", end="")


@case
def mixed_output() -> None:
    print("printed")
    os.write(1, b"written\n")
    sys.__stdout__.write("more\n")


@case
def file_in_failure() -> None:
    file = open(sys.argv[2], "w")
    file.write("content")
    raise ValueError("with an open file")


@case
def warns() -> None:
    warnings.warn("a warning")
    warnings.simplefilter("ignore")


@case
def logs() -> None:
    logging.basicConfig(format="%(message)s")
    logging.error("an error")


@case
def asks() -> None:
    print(input("name? "), input())


def main() -> Any:
    return CASES[sys.argv[1]]()


if __name__ == "__main__":
    if os.environ.get("CASES_MODE") == "ready":
        prewarm.ready()
        sys.exit(main())
    prewarm.serve(main)
