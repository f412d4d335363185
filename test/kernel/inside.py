#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs in the machine, started by `init`: each of the steps it is given, a child for each.

inside.py NAME…: see run.py. inside.py --step STEP NAME…: that step, as whoever calls it.
"""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path.insert(0, str(TESTS / "corpus"))  # for corpus_harness

from corpus_harness import script, suite  # noqa: E402  (needs the path above)
from kernel_harness import image, plan, warm  # noqa: E402

PREWARM = str(TESTS.parent / "build" / "prewarm")
PREWARMD = str(TESTS.parent / "build" / "prewarmd")
PROGRAM = str(TESTS.parent / "build" / "test" / "kernel" / "prewarm_kernel_program")
UNIT_TESTS = str(TESTS.parent / "build" / "prewarm_unit_tests")

# A processor made of software is some thirty times slower, and nothing here is about time.
PATIENCE = 30


def say(word, name, text=""):
    print(f"{word:7} {name}")
    for line in text.splitlines():
        print(f"        {line}")
    sys.stdout.flush()


def doctor(names, user):
    for programs in ([], ["cut", "grep", "curl"]):
        result = subprocess.run(
            [PREWARM, "doctor", *programs], capture_output=True, text=True, check=False
        )
        word = "passed" if result.returncode == 0 else "failed"
        title = " ".join([f"doctor.{user}", *programs])
        say(word, title, result.stdout + result.stderr)


def warm_launches(names, user):
    for name in names or warm.CASES:
        fault, found = warm.run(PREWARM, name)
        say("failed" if fault else "passed", f"warm.{user}.{name}", f"{fault}{found}")


def self_test(names, user):
    """Where nothing is parked the loops must fail. (The corpus and the faults have their own.)"""
    for name in names or warm.CASES:
        fault, found = warm.run(PREWARM, name, ["--max-warm", "0"])
        say("passed" if fault else "failed", f"self-test.{name}", found)


# How a test of GoogleTest's ended; the summary at the end has no time in it.
ENDED = re.compile(r"\[ +(OK|FAILED|SKIPPED) +\] ([^\s,]+).* \(\d+ ms\)\n")
WORDS = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}


def cold(names, user):
    """Unit tests, of src/cold if none are named; `names` are as for --gtest_filter."""
    chosen = names or [f"*{suite}.*:*{suite}/*" for suite in plan.COLD]
    command = [UNIT_TESTS, "--gtest_color=no", f"--gtest_filter={':'.join(chosen)}"]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    written = ""
    with subprocess.Popen(command, **output, text=True) as tests:
        for line in tests.stdout:
            if line.startswith("[ RUN"):
                written = ""
            elif ended := ENDED.match(line):
                text = "" if ended[1] == "OK" else written
                say(WORDS[ended[1]], f"cold.{user}.{ended[2]}", text)
            else:
                written += line
    if tests.returncode < 0:
        say("failed", f"cold.{user}", f"{written}ended by signal {-tests.returncode}")
    return tests.returncode


def corpus(names, user):
    with tempfile.TemporaryDirectory(prefix="corpus-") as base:
        jobs = [
            suite.Job(item, item.mode, ["default"], [PREWARM, "run"], base, 30.0 * PATIENCE, False)
            for item in script.load_all(TESTS / "corpus", names)
        ]
        suite.run_jobs(jobs, 2, say_corpus)


def say_corpus(result):
    text = result.reason + "".join(f"{d.kind}:\n{d.text}\n" for d in result.differences)
    say(result.verdict, f"corpus.{result.script}", text)


def faults(names, user):
    """What test/faults/run.py does, but that a case has more time until it must have ended."""
    sys.path.insert(0, str(TESTS / "faults"))
    import areas
    import run  # that of the faults
    from faults_harness import cases

    areas.load()
    for name, item in cases.CASES.items():
        cases.CASES[name] = dataclasses.replace(item, seconds=item.seconds * PATIENCE)
    sys.argv = ["run.py", "--patience", str(PATIENCE), PREWARM, *(names or plan.FAULTS)]
    return 0 if run.main() else 1


def images(names, user):
    """Starts from images, as the kernel allows; of `names` the ones that a title contains."""
    for cases in (image.from_files(PREWARM, PROGRAM), image.by_service(PREWARMD, PREWARM, PROGRAM)):
        for name, fault in cases:
            if not names or any(part in name for part in names):
                say("failed" if fault else "passed", f"image.{user}.{name}", fault)


def direct(names, user):
    """The same in a machine where a process may become a program without an exec."""
    say("passed" if image.starts_directly() else "failed", f"direct.{user}.possible")
    images(names, user)


STEPS = {
    "self-test": self_test,
    "doctor": doctor,
    "warm": warm_launches,
    "cold": cold,
    "corpus": corpus,
    "faults": faults,
    "image": images,
    "direct": direct,
}


def child(step, names, user):
    """Runs a step in a process of its own, as that user; its status."""
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    identity = {}
    if user == "root":
        environment["HOME"] = "/root"
    else:
        environment["HOME"] = "/tmp"
        identity = {"user": plan.USER, "group": plan.USER, "extra_groups": []}
    command = [sys.executable, __file__, "--step", step, user, *names]
    return subprocess.run(command, env=environment, check=False, **identity).returncode


def main():
    if sys.argv[1:2] == ["--step"]:
        _, _, step, user, *names = sys.argv
        return STEPS[step](names, user) or 0
    say("passed", "boot", f"Linux {os.uname().release}, {os.cpu_count()} processors")
    return max(child(*item) for item in plan.steps(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
