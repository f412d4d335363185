#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A tool that hands its main function to ready(). ends_tool.py WHAT [ARG] ends in that way."""
import atexit
import json
import os
import signal
import sys
import threading

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../sdk/python"))
import prewarm

early = []
at_last = []


@atexit.register
def registered_before():
    for function in at_last:
        function()


class Number(int):
    pass


class Exit(SystemExit):
    pass


class Noticed:
    def __del__(self):
        os.write(1, b"ended\n")


VALUES = {
    "none": None, "0": 0, "3": 3, "255": 255, "256": 256, "300": 300, "-1": -1, "true": True,
    "false": False, "text": "why: \u00fc", "empty": "", "list": [1, 2], "tuple": (3,),
    "empty tuple": (), "float": 3.0, "huge": 2 ** 70, "bytes": b"x", "number": Number(3)}


def returns(name):
    sys.stdout.write("no end of line")
    return VALUES[name]


def exits(name):
    sys.stdout.write("no end of line")
    sys.exit(VALUES[name])


def exits_in_a_finally(name):
    try:
        held = Noticed()  # the end of it comes before what is called at exit
        atexit.register(print, "at exit", flush=True)
        raise Exit(VALUES[name])
    finally:
        print("finally", flush=True)


def fails():
    print("before")
    try:
        {}["key"]
    except KeyError as error:
        raise ValueError("\u00e4\nsecond line") from error


def fails_in_the_library():
    json.loads("{")


def has_a_hook():
    sys.excepthook = lambda kind, value, trace: print("hook:", value, trace.tb_lineno)
    raise ValueError("hooked")


def is_interrupted():
    sys.stdout.write("before")
    raise KeyboardInterrupt


def is_interrupted_by_a_signal():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    finally:
        print("finally")


def at_exit():
    def fails_at_exit():
        raise ValueError("at exit")

    at_last.append(lambda: print("registered before"))
    atexit.register(print, "registered first")
    atexit.register(fails_at_exit)
    atexit.register(sys.exit, 7)
    atexit.register(lambda: atexit.register(print, "registered at exit"))
    print("end of main")
    return 3


def at_exit_a_file():
    """What is called last leaves something behind."""
    def leave():
        file = os.fdopen(os.dup(1), "w")
        file.write("not closed\n")
        early.append(file)

    at_last.append(leave)


def at_exit_an_object():
    at_last.append(lambda: early.append(Noticed()))
    raise ValueError("with an object")


def at_exit_a_thread():
    at_last.append(lambda: threading.Thread(target=print, args=("late",)).start())


def file():
    early.append(os.fdopen(os.dup(1), "w"))
    early[0].write("not closed\n")
    return 3


def file_after_failure():
    file()
    raise ValueError("with an open file")


def thread():
    started, ended = threading.Event(), threading.Event()

    def late():
        started.set()
        threading.main_thread().join()
        print("late")
        ended.set()

    threading.Thread(target=late).start()
    started.wait()
    atexit.register(lambda: print("at exit", ended.is_set()))
    print("end of main")
    return 3


def thread_in_a_pool():
    import concurrent.futures
    early.append(concurrent.futures.ThreadPoolExecutor(2))
    early[0].submit(print, "in the pool")
    return 3


def daemon_thread():
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    print("end of main")
    return 5


def closes_output():
    print("before")
    sys.stdout.close()
    return 4


def has_no_output():
    print("before", flush=True)
    sys.stdout = sys.stderr = None
    return 4


def replaces_output():
    sys.stdout = open(sys.stdout.detach().fileno(), "w", encoding="latin-1", closefd=False)
    sys.stdout.write("\u00e4 replaced")


def replaces_errors():
    sys.stderr = open(os.dup(2), "w", buffering=100)
    sys.stderr.write("replaced")
    return 3


def forks():
    print("before", flush=True)
    pid = os.fork()
    if pid == 0:
        sys.stdout.write("child")
        return 9
    print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return 3


def forks_and_fails():
    pid = os.fork()
    if pid == 0:
        raise ValueError("in the child")
    print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return 3


def writes(name):
    sys.stdout.write("x" * 100)
    return VALUES[name]


def main():
    return globals()[sys.argv[1]](*sys.argv[2:])


def inside_of_a_finally(name):
    sys.stdout.write("no end of line")
    return VALUES[name]


inside_of_an_except = inside_of_a_finally


class Main:
    def __call__(self):
        atexit.register(print, "at exit", flush=True)
        return main()

    def __del__(self):
        os.write(1, b"main has ended\n")


if __name__ == "__main__":
    try:
        prewarm.ready(Main() if os.environ.get("MAIN_IS_AN_OBJECT") else main)
    except SystemExit as end:
        if sys.argv[1] != "inside_of_an_except":
            raise
        print("code:", end.code)
        sys.exit(6)
    finally:
        if sys.argv[1] == "inside_of_a_finally":
            print("finally")
