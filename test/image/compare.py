#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Starts programs from images, in each way that there is, and compares with plain starts.

Ways: directly by the command (as root), or by an auditor in ld.so; with libraries packed or not.
That it was that way, and an image at all, is witnessed from outside. Output, status, files, and
what can be seen of the process when it ends have to be the same."""

import argparse
import os
import pathlib
import re
import sys
import tempfile

sys.dont_write_bytecode = True  # this may be run from a tree that is not ours to write to
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from image_suite import (cases, damage, mirror, own, refusals,  # noqa: E402  (needs the path)
                         self_test, services, suites, tools)

_ALL_SKIPPED = 77  # as CTest is told
AREAS = ("own", "mirror", "tools", "services", "refusals", "damage", "suites")


def _everything(options, bench):
    """Each test: its area, name, whether it is long, why it can't be run, and how it is run."""
    def plain(area, found):
        for case in found:
            yield area, case, cases.missing(bench, case), lambda case=case: cases.compare(bench, case)

    programs = pathlib.Path(options.mirror)
    yield from plain("own", own.cases(options.programs))
    yield from plain("mirror", mirror.cases(options.mirror))
    yield from plain("tools", tools.all_cases())
    for service in services.all_services():
        yield ("services", service, service.missing(),
               lambda service=service: service.compare(bench))
    for refusal in refusals.refusals(options.mirror):
        yield ("refusals", refusal, None,
               lambda refusal=refusal: refusals.compare(bench, refusal, programs))
    for one in damage.all_damage():
        yield "damage", one, None, lambda one=one: one.compare(bench, programs)
    yield from plain("suites", suites.all_cases())


def _wanted(options, area, test):
    if options.area and area not in options.area:
        return False
    if options.name:
        return any(re.fullmatch(name, test.name) for name in options.name)
    return not options.some or not test.is_long


def _run(options, bench):
    failed = passed = skipped = 0
    for area, test, lacking, compare in _everything(options, bench):
        if not _wanted(options, area, test):
            continue
        if lacking:
            print(f"skipped {area}.{test.name}: {lacking}", flush=True)
            skipped += 1
            continue
        complaints = compare()
        failed += bool(complaints)
        passed += not complaints
        print(f"{'FAILED ' if complaints else 'same   '} {area}.{test.name}", flush=True)
        for line in complaints[:60]:
            print(f"    {line[:600]}", flush=True)
    print(f"{passed} the same, {failed} not")
    if skipped and not passed + failed:
        return _ALL_SKIPPED
    return 1 if failed or not passed else 0


def _list(options, bench):
    for area, test, _, _ in _everything(options, bench):
        if _wanted(options, area, test):
            print(f"{area}.{test.name}")
    return 0


def _keep_descriptors():
    """Programs report all that they inherit: not the log that who runs this test writes to meanwhile."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:
                pass  # that of the directory itself


def main():
    _keep_descriptors()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prewarm", help="the command under test")
    parser.add_argument("name", nargs="*", help="only tests with such names (regular expressions)")
    parser.add_argument("--programs", required=True, metavar="DIR",
                        help="where the programs of this test were built")
    parser.add_argument("--mirror", required=True, metavar="DIR", help="where the mirror was built")
    parser.add_argument("--area", action="append", choices=AREAS, help="only tests of this area")
    parser.add_argument("--some", action="store_true", help="not those that take long, or are "
                        "like others")
    parser.add_argument("--list", action="store_true", help="print the tests' names")
    parser.add_argument("--self-test", action="store_true", help="show that faults are noticed")
    options = parser.parse_intermixed_args()
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="image-") as directory:
        bench = cases.Bench(directory, options.prewarm)
        if options.self_test:
            return self_test.run(bench, pathlib.Path(options.mirror))
        return _list(options, bench) if options.list else _run(options, bench)


if __name__ == "__main__":
    sys.exit(main())
