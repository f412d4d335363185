#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run scripts under `PREWARM run` while things go wrong, and require what bash alone would do.

Each case has a name, AREA.CASE, and can be run alone: run.py PREWARM cleanup terminal.ctrl_c.
README.md beside this file says what each area proves.
"""

import argparse
import fcntl
import os
import sys

sys.dont_write_bytecode = True

import areas
from faults_harness import cases, processes, supervise


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prewarm", nargs="?", help="the command under test")
    parser.add_argument("names", nargs="*", metavar="NAME", help="an area, a case, or PREFIX*")
    parser.add_argument("--launches", type=int, default=300, help="of exactly_once (default 300)")
    parser.add_argument("--prewarm-args", default="", help="more options after `run`")
    parser.add_argument("--list", action="store_true", help="name the cases, run nothing")
    parser.add_argument("--keep", action="store_true", help="keep the files of failed cases")
    parser.add_argument(
        "--no-warm-check",
        dest="warm_check",
        action="store_false",
        help="don't require that anything was launched warm (for a stand-in)",
    )
    parser.add_argument("--patience", type=float, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--self-test", action="store_true", help="prove that faults are noticed")
    return parser.parse_args()


def close_what_was_inherited():
    """No descriptor of ours may reach a script: the tests look at what scripts have open."""
    for name in os.listdir("/proc/self/fd"):
        try:
            fcntl.fcntl(int(name), fcntl.F_SETFD, fcntl.FD_CLOEXEC if int(name) > 2 else 0)
        except OSError:
            pass  # the listing's own


def report(verdict):
    print(f"{verdict.word:7} {verdict.name} ({verdict.seconds:.1f} s)")
    for line in verdict.reason.splitlines():
        print(f"        {line}")
    sys.stdout.flush()


def summary(verdicts):
    words = ("passed", "failed", "skipped", "known")
    count = {word: sum(v.word == word for v in verdicts) for word in words}
    if count["skipped"]:
        print(f"{count['skipped']} skipped")
    if count["known"]:
        print(f"{count['known']} known differences")
    print(f"{count['passed']} passed, {count['failed']} failed")
    return count["failed"] == 0


def main():
    options = arguments()
    close_what_was_inherited()
    processes.adopt_orphans()
    areas.load()
    if options.self_test:
        from faults_harness import self_test

        return self_test.run(report, summary, options)
    if options.list:
        print("\n".join(cases.CASES))
        return True
    if not options.prewarm:
        sys.exit("run.py: which prewarm? (its path is missing)")
    options.prewarm = os.path.abspath(options.prewarm)
    if not os.access(options.prewarm, os.X_OK):
        sys.exit(f"run.py: {options.prewarm} can't be run")
    verdicts = []
    for item in cases.selected(options.names):
        verdicts.append(supervise.judge(item, options))
        report(verdicts[-1])
    return summary(verdicts)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
