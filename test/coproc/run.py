#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`prewarm call` and `prewarm pool` while things go wrong.

run.py PREWARM TEST_TOOL [NAME…]: an area, a case (AREA.CASE), or PREFIX*. README.md has the areas.
"""

import argparse
import importlib
import os
import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "faults"))  # faults_harness: cases, processes, terminals

from coproc_harness.world import World
from faults_harness import cases, processes, supervise

AREAS = ("calls", "workers", "clients", "owners", "pools", "each", "soak")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prewarm", help="the command under test")
    parser.add_argument("tool", help="prewarm_test_tool")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="name the cases, run nothing")
    parser.add_argument("--keep", action="store_true", help="keep the files of failed cases")
    parser.add_argument("--requests", type=int, default=2000, help="of soak (default 2000)")
    options = parser.parse_args()
    options.prewarm = os.path.abspath(options.prewarm)
    options.tool = os.path.abspath(options.tool)
    options.warm_check = True
    return options


def main():
    options = arguments()
    processes.adopt_orphans()
    for area in AREAS:
        importlib.import_module(f"coproc_areas.{area}")
    if options.list:
        print("\n".join(cases.CASES))
        return True
    failed = 0
    selected = cases.selected(options.names)
    for item in selected:
        verdict = supervise.judge(item, options, World)
        print(f"{verdict.word:7} {verdict.name} ({verdict.seconds:.1f} s)")
        for line in verdict.reason.splitlines():
            print(f"        {line}")
        sys.stdout.flush()
        failed += verdict.word == "failed"
    print(f"{len(selected) - failed} passed or skipped, {failed} failed")
    return failed == 0


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
