#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs in the machine, started by `init`: each of the steps it is given, a child for each.

inside.py NAME…: see run.py. inside.py --step STEP NAME…: that step, as whoever calls it.
"""

import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path.insert(0, str(TESTS / "corpus"))  # for corpus_harness

from corpus_harness import script, suite  # noqa: E402  (needs the path above)
from kernel_harness import plan, warm  # noqa: E402

PREWARM = str(TESTS.parent / "build" / "prewarm")

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


STEPS = {
    "self-test": self_test,
    "doctor": doctor,
    "warm": warm_launches,
    "corpus": corpus,
    "faults": faults,
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
