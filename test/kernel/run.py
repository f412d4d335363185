#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot Debian's kernel in a machine made of software, and test prewarm in there.

NAME is self-test, doctor, warm, cold, corpus, faults, image, direct, or one of these, a dot, and
what to choose of it, as for compare.py and run.py there: corpus.pipeline, faults.limits. README.md
beside this file has more.
"""

import argparse
import pathlib
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from kernel_harness import machine, package, plan, root  # noqa: E402  (leaves no bytecode)

WORDS = ("passed", "failed", "skipped", "known")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prewarm", help="the command under test, in its build directory")
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to run (default: all)")
    parser.add_argument("--release", default="6.1", help="of the kernel (default 6.1)")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds (default 3600)")
    options = parser.parse_args()
    if unknown := plan.unknown(options.names):
        parser.error(f"there is no {', '.join(unknown)}")
    return options


def verdict_of(line):
    """The first word of a line, if that is what became of a case."""
    word = line.partition(" ")[0]
    return word if word in WORDS and line[7:8] == " " else ""


def show(lines, count):
    """Prints what the machine writes, and counts how cases ended; what it said at its end."""
    for line in lines:
        if line.startswith(machine.ENDED):
            return line.removeprefix(machine.ENDED)
        # The fault tests in there sum up what is counted here.
        if verdict_of(line):
            count[verdict_of(line)] += 1
        print(line, flush=True)
    return ""


def run_machine(kernel, archive, words, names, log, timeout, count):
    """Whether all of its tests have ended, and well."""
    with machine.Machine(kernel, archive, words, names, log) as booted:
        status = show(booted.lines(timeout), count)
    if not status:
        print(f"The machine did not come to its end. The last that its kernel said ({log}):")
        print("\n".join(log.read_text(errors="replace").splitlines()[-20:]))
    elif status != "0" and not count["failed"]:
        print("A step in there has failed, and has not said of what.")
    return status == "0"


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of all that is to be ended
    build = pathlib.Path(options.prewarm).resolve().parent
    cache = build / "kernel"
    cache.mkdir(exist_ok=True)
    try:
        kernel = package.kernel(options.release, cache)
    except package.NoKernel as problem:
        sys.exit(f"run.py: {problem}")
    log = cache / "log"
    started = time.monotonic()
    count = dict.fromkeys(WORDS, 0)
    passed = True
    with tempfile.NamedTemporaryFile(dir=cache) as archive:
        root.make(archive, build)
        for words, names in plan.machines(options.names):
            left = options.timeout - (time.monotonic() - started)
            passed &= run_machine(kernel, archive.name, words, names, log, left, count)
    for word in ("skipped", "known"):
        if count[word]:
            print(f"{count[word]} {word}")
    took = time.monotonic() - started
    print(f"{count['passed']} passed, {count['failed']} failed ({took:.0f} s)")
    return passed and count["passed"] > 0 and count["failed"] == 0


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
