#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A tool with large imports and a ready point. tool.py WHAT [ARG…] says what it observes."""
import argparse
import asyncio
import atexit
import gc
import http.client
import io
import json
import locale
import logging
import multiprocessing
import os
import random
import resource
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import weakref

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../sdk/python"))
import prewarm

# Kept from before the ready point, as tools do.
logging.basicConfig(level=logging.INFO, format="%(message)s")
kept_stdout = sys.stdout
kept_environ = os.environ
connection = sqlite3.connect(":memory:")
if os.environ.get("TOOL_THREAD"):
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
if os.environ.get("TOOL_OPEN"):
    opened = open(os.devnull)
if os.environ.get("TOOL_COPIES_DIE"):
    os.register_at_fork(after_in_child=lambda: os._exit(1))
if os.environ.get("TOOL_END"):
    sys.exit(9)
if os.environ.get("TOOL_SIGNALS"):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit("terminated"))
if os.environ.get("TOOL_DETACH"):
    sys.stdout = io.TextIOWrapper(sys.stdout.detach(), "latin-1")

prewarm.ready()


def descriptors():
    """With what they lead to, but for the one that lists them."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = oct(os.fstat(int(name)).st_mode)
        except OSError:
            pass
    return found


def stream(s):
    return s and {
        "name": s.name, "mode": s.mode, "encoding": s.encoding, "errors": s.errors,
        "line buffering": s.line_buffering, "through": s.write_through, "fd": s.fileno(),
        "terminal": s.isatty(), "seekable": s.seekable(), "buffer": type(s.buffer).__name__,
        "buffer name": s.buffer.name, "raw mode": getattr(s.buffer, "raw", s.buffer).mode,
        "readable": s.readable(), "writable": s.writable(), "repr": repr(s)}


def read(path):
    with open(path, "rb") as file:
        return file.read().decode(errors="surrogateescape")


def state(*arguments):
    """What must be the same."""
    status = dict(line.split(":\t", 1) for line in read("/proc/self/status").splitlines())
    mask = os.umask(0)
    print(json.dumps({
        "argv": sys.argv, "orig_argv": sys.orig_argv, "environment": list(os.environ.items()),
        "same environ": kept_environ is os.environ, "cwd": os.getcwd(), "umask": mask,
        "descriptors": descriptors(), "signals": {k: v for k, v in status.items() if k in (
            "SigIgn", "SigBlk", "SigCgt", "SigPnd", "ShdPnd", "Threads", "Name", "Uid", "Seccomp")},
        "handlers": {n: str(signal.getsignal(n)).partition(" at ")[0]
                     for n in sorted(signal.valid_signals())},
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "leads its group": os.getpgrp() == os.getpid(),
        "cmdline": read("/proc/self/cmdline"), "environ": read("/proc/self/environ"),
        "comm": read("/proc/self/comm"), "exe": os.readlink("/proc/self/exe"),
        "ps": subprocess.run(["ps", "-o", "comm=,args=", "-p", str(os.getpid())],
                             capture_output=True, text=True).stdout,
        "child's environment": subprocess.run(["/usr/bin/env"], capture_output=True).stdout.decode(
            errors="surrogateescape"),
        "child's signals": [line for line in subprocess.run(
            ["/usr/bin/grep", "^Sig[BIC]", "/proc/self/status"], capture_output=True,
            text=True).stdout.splitlines()],
        "stdin": stream(sys.stdin), "stdout": stream(sys.stdout), "stderr": stream(sys.stderr),
        "same stdout": kept_stdout is sys.stdout is sys.__stdout__,
        "main": [__name__, __file__, sys.path], "executable": sys.executable,
        "flags": str(sys.flags), "thread": [threading.current_thread().name,
                                            threading.main_thread().native_id == os.getpid(),
                                            threading.active_count()],
        "locale": [locale.setlocale(locale.LC_CTYPE), locale.getpreferredencoding(),
                   sys.getfilesystemencoding(), time.tzname],
        "limits": [resource.getrlimit(n) for n in range(16)], "nice": os.nice(0),
        "scheduler": [os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))],
        "user": [os.getuid(), os.getgid(), os.getgroups(), os.geteuid()],
        "collector": [gc.isenabled(), gc.get_threshold()],
        "multiprocessing": multiprocessing.get_start_method(), "tmp": tempfile.gettempdir(),
    }, indent=1, sort_keys=True))


def fresh():
    """What must be another each time."""
    status = read("/proc/self/auxv")
    print(json.dumps([
        random.random(), ssl.RAND_bytes(16).hex(), str(uuid.uuid4()), os.urandom(8).hex(),
        next(tempfile._get_candidate_names()), os.getpid(), random.SystemRandom().random()]))
    del status


def works():
    """What often doesn't in a copy of a process."""
    results = []
    threads = [threading.Thread(target=lambda n=n: results.append(n * n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(results))
    print(subprocess.run(["/bin/sh", "-c", "echo $0 $PWD; exit 3", "name"], capture_output=True))
    print(multiprocessing.get_context("fork").Pool(2).map(abs, [-1, 2, -3]))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(abs, [-4]))
    print(asyncio.run(asyncio.sleep(0, "slept")), asyncio.run(in_subprocess()))
    connection.execute("create table t (a)")
    connection.executemany("insert into t values (?)", [(1,), (2,)])
    print(connection.execute("select sum(a) from t").fetchall())
    pid = os.fork()
    if pid == 0:
        os._exit(5)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    one, other = socket.socketpair()
    one.sendall(b"x")
    print(other.recv(1), http.client.responses[404], ssl.create_default_context().verify_mode)
    signal.signal(signal.SIGALRM, lambda number, frame: print("alarm"))
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    signal.pause()
    with tempfile.TemporaryDirectory() as directory:
        print(os.listdir(directory))


async def in_subprocess():
    process = await asyncio.create_subprocess_exec("/bin/true")
    return await process.wait()


def copy():
    while data := sys.stdin.read(1000):
        sys.stdout.write(data)


def lines():
    for line in sys.stdin:
        print(line.rstrip(), flush=True)


def order():
    print("one")
    logging.info("two")
    print("three", file=sys.stderr)
    kept_stdout.write("four\n")
    sys.stdout.buffer.write(b"five\n")
    os.write(1, b"six\n")


def at_exit():
    atexit.register(print, "registered first")
    atexit.register(print, "registered last")

    class Late:
        def __del__(self):
            os.write(1, b"deleted\n")

    globals()["late"] = Late()
    globals()["unclosed"] = os.fdopen(os.dup(1), "w")
    globals()["unclosed"].write("not closed\n")
    threading.Thread(target=lambda: (time.sleep(0.01), print("thread"))).start()
    print("end of main")


class Noticed:
    def __init__(self, *held):
        self.held = held

    def __del__(self):
        os.write(1, b"ended\n")


class Uncollected(int):
    __slots__ = ()

    def __del__(self):
        os.write(1, b"ended, too\n")


def generate():
    try:
        yield
    finally:
        os.write(1, b"generated\n")


early = []
early_object = argparse.Namespace()


def leave(what):
    """Leaves something behind whose end can be noticed."""
    if what in ("file", "file in a list"):
        file = os.fdopen(os.dup(1), "w")
        file.write("not closed\n")
        early.append([file]) if what.endswith("list") else globals().update(file=file)
    elif what == "file of a file":
        early.append(io.TextIOWrapper(io.BufferedWriter(io.FileIO(os.dup(1), "w"))))
        early[0].write("not closed\n")
    elif what == "read file":
        early.append(open(__file__))
        early[0].read(10)
    elif what == "read file with a warning":
        import warnings
        warnings.simplefilter("always")
        early.append(open(__file__))
    elif what == "object":
        early_object.object = Noticed()
    elif what == "object in a module":
        json.left = Noticed()
    elif what == "cycle":
        one, other = Noticed(), Noticed()
        one.other, other.other = other, one
        early.append(one)
    elif what == "reference":
        early_object.target = type("Target", (), {})()
        early_object.reference = weakref.ref(early_object.target, lambda r: os.write(1, b"gone\n"))
        weakref.finalize(early_object.target, os.write, 1, b"finalized\n")
    elif what == "generator":
        early_object.generator = generate()
        next(early_object.generator)
    elif what == "database":
        with tempfile.TemporaryDirectory() as directory:
            early_object.database = sqlite3.connect(os.path.join(directory, "file"))
            early_object.database.execute("create table t (a)")
    elif what == "class without a collector":
        early_object.number = Uncollected(3)
    else:
        early_object.plain = {"a": [1, 2.0, None], "b": argparse.Namespace(x=json.loads("{}"))}


def inner():
    raise ValueError("on purpose: \u00fc")


def end(how):
    endings = {
        "none": lambda: None, "3": lambda: sys.exit(3), "300": lambda: sys.exit(300),
        "text": lambda: sys.exit("why"), "error": inner, "now": lambda: os._exit(7),
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
        "terminate": lambda: os.kill(os.getpid(), signal.SIGTERM),
        "pipe": lambda: os.kill(os.getpid(), signal.SIGPIPE),
        "abort": os.abort, "usage": lambda: argparse.ArgumentParser().parse_args(["--no"]),
        "stack": lambda: exec("def f(): f()\nf()"),
    }
    endings[how]()


def big(size):
    sys.stdout.write("x" * int(size))


def wait(path):
    """Until it is told otherwise; says that it does."""
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    while True:
        signal.pause()


def main():
    what, *arguments = sys.argv[1:] or ["state"]
    globals()[what](*arguments)


if __name__ == "__main__":
    main()
