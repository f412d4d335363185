#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run public test suites of posix_spawn by the C library and by libprewarm-spawn.so.

A test passes here if it passes by both. What the C library itself fails is shown and not
counted. In each preloaded run the calls are counted, and none may have been answered by
the C library.
"""

import argparse
import dataclasses
import json
import pathlib
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True  # this may be run from a tree that is not ours to write to
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # for debian_archive

from debian_archive import Unavailable  # noqa: E402  (needs the path above)
from posix_spawn_suite import cpython, glibc, gnulib, open_posix, trial  # noqa: E402

EXPORTS = HERE.parent.parent / "src" / "cold" / "preload.map"

SUITES = {
    "glibc": glibc.tests,
    "gnulib": gnulib.tests,
    "cpython": cpython.tests,
    "open-posix": open_posix.tests,
}

# ctest takes this exit status for "skipped" (SKIP_RETURN_CODE in CMakeLists.txt).
EXIT_SKIPPED = 77


@dataclasses.dataclass
class Result:
    suite: str
    name: str
    reference: trial.Outcome
    subject: trial.Outcome
    note: str = ""

    def counts(self):
        """Whether it says anything about the library under test."""
        return self.reference.verdict == "pass"

    def passed(self):
        return self.subject.verdict == "pass" and self.subject.calls_elsewhere == 0


def _judge(test, preloaded, timeout_s):
    if test.not_built:
        nothing = trial.Outcome("not built", test.not_built)
        return Result(test.suite, test.name, nothing, nothing, test.not_built)
    reference = trial.run(test, None, timeout_s)
    subject = trial.run(test, preloaded, timeout_s)
    result = Result(test.suite, test.name, reference, subject)
    if test.linked:
        result.note = "static: linked with the library's functions"
    elif subject.calls_elsewhere:
        result.note = f"{subject.calls_elsewhere} calls were answered by the C library"
    else:
        result.note = f"calls: {subject.calls}"
        if subject.cases:
            result.note = f"cases: {subject.cases}, {result.note}"
    return result


def _show(result):
    by_both = f"C library: {result.reference.verdict}; ours: {result.subject.verdict}"
    print(f"{result.suite}/{result.name}: {by_both} ({result.note})")
    if result.counts() and not result.passed():
        print("\n".join(f"    {line}" for line in result.subject.output.splitlines()[-40:]))
    sys.stdout.flush()


def _table(results):
    rows = ["| suite | test | C library | ours | |", "|---|---|---|---|---|"]
    rows += [
        f"| {r.suite} | `{r.name}` | {r.reference.verdict} | {r.subject.verdict} | {r.note} |"
        for r in results
    ]
    return "\n".join(rows)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=pathlib.Path, help="path of libprewarm-spawn.so")
    parser.add_argument("filter", nargs="*", help="only tests whose name contains one of these")
    parser.add_argument("--archive", type=pathlib.Path, required=True, help="libprewarm_core.a")
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="where sources are kept")
    parser.add_argument("--suite", choices=SUITES, action="append", help="only this suite")
    parser.add_argument("--open-posix", type=pathlib.Path, help="a tree of that suite")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a test (default 120)")
    parser.add_argument("--json", metavar="FILE", help="write all results there")
    parser.add_argument("--table", action="store_true", help="print a table for the manual")
    return parser.parse_args()


def _run_all(options, work):
    preloaded = trial.Preloaded(options.library, EXPORTS, work)
    results, skipped = [], []
    for name in options.suite or SUITES:
        place = options.open_posix if name == "open-posix" else options.cache
        try:
            tests = SUITES[name](place, work, options.archive.absolute())
        except Unavailable as reason:
            skipped.append(f"{name} is skipped: {reason}")
            continue
        for test in tests:
            if options.filter and not any(part in test.name for part in options.filter):
                continue
            results.append(_judge(test, preloaded, options.timeout))
            _show(results[-1])
    return results, skipped


def main():
    options = _arguments()
    work = pathlib.Path(tempfile.mkdtemp(prefix="posix-spawn-suite-"))
    try:
        results, skipped = _run_all(options, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if options.table:
        print(_table(results))
    if options.json:
        rows = [dataclasses.asdict(result) for result in results]
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join(skipped))
    counted = [result for result in results if result.counts()]
    failed = [result for result in counted if not result.passed()]
    print(f"{len(counted) - len(failed)} passed, {len(failed)} failed", end="")
    print(f", {len(results) - len(counted)} not counted")
    if not counted:
        sys.exit(EXIT_SKIPPED)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
