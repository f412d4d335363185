#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run bash's own test suite by plain bash and by `PREWARM run`, and compare.

The suite comes from the Debian source package of the bash that is installed. What
counts is not whether a test's output is what bash's authors expect (some of it never
is, without a terminal or their locales) but whether it is the same by both.
"""

import argparse
import dataclasses
import difflib
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True  # this may be run from a tree that is not ours to write to
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "corpus")]  # debian_archive; corpus_harness

from bash_suite import build, source, trial  # noqa: E402  (needs the path above)
from corpus_harness import supervise  # noqa: E402

# Quick ones that between them launch commands in all the ways there are.
SMOKE = (
    "run-appendop",
    "run-comsub",
    "run-dirstack",
    "run-errors",
    "run-exportfunc",
    "run-heredoc",
    "run-herestr",
    "run-posix2",
    "run-posixpipe",
    "run-redir",
    "run-set-e",
    "run-type",
    "run-varenv",
)

# They take longest, a minute and a quarter of one: begun first, they delay nothing.
SLOW = ("run-jobs", "run-trap")

# run-all and run-minimal run all the others; run-gprof profiles bash itself.
NOT_TESTS = ("run-all", "run-minimal", "run-gprof")

# ctest takes this exit status for "skipped" (SKIP_RETURN_CODE in CMakeLists.txt).
EXIT_SKIPPED = 77


@dataclasses.dataclass
class Job:
    name: str
    arena: trial.Arena
    timeout_s: float
    subject: bool  # False: bash against itself only


@dataclasses.dataclass
class Result:
    name: str
    verdict: str  # same, differs, flaky or timeout (the last two: not counted)
    as_expected: bool = False
    seconds_reference: float = 0.0
    seconds: float = 0.0
    difference: str = ""


def _diff(before, after):
    """A unified diff of all that two trials printed."""
    texts = []
    for one in (before, after):
        text = one.output + b"-- result --\n" + one.result + b"-- status %d --\n" % one.status
        texts.append(text.decode("utf-8", "backslashreplace").split("\n"))
    lines = difflib.unified_diff(*texts, "bash", "prewarm", lineterm="")
    text = "\n".join(lines)
    if after.timed_out and not before.timed_out:
        text += f"\ntime is up; it was doing:\n{after.timed_out}"
    return text


def _left_behind(before, after):
    """Processes that only the command under test leaves; some tests leave their own."""
    if after.processes_left and not before.processes_left:
        return "left behind:\n" + "\n".join(after.processes_left)
    return ""


def _worker_arena(arena):
    """Each worker has a directory of its own, with a name that is as long as any."""
    return trial.Arena(f"{arena.root}{os.getpid():07d}", arena.tree, arena.built)


def run_job(job):
    """Bash twice, to know what is stable; then the command under test."""
    arena = _worker_arena(job.arena)
    first = arena.run(job.name, "reference", job.timeout_s)
    result = Result(job.name, "same", first.as_expected(), first.seconds)
    if first.timed_out:
        result.verdict, result.difference = "timeout", first.timed_out
        return result
    again = arena.run(job.name, "reference", job.timeout_s)
    if not first.same_as(again):
        result.verdict, result.difference = "flaky", _diff(first, again)
        return result
    if not job.subject:
        return result
    subject = arena.run(job.name, "subject", job.timeout_s)
    result.seconds = subject.seconds
    left = _left_behind(first, subject)
    if left or not first.same_as(subject):
        # A difference is only one if bash, asked once more, still says the same.
        third = arena.run(job.name, "reference", job.timeout_s)
        stable = left or first.same_as(third)
        result.verdict = "differs" if stable else "flaky"
        result.difference = "\n".join(filter(None, [_diff(first, subject), left]))
    return result


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prewarm", nargs="?", help="the command under test (path of prewarm)")
    parser.add_argument("filter", nargs="*", help="only tests whose name contains one of these")
    parser.add_argument("--cache", type=pathlib.Path, help="directory to keep bash's source in")
    parser.add_argument("--source", type=pathlib.Path, help="an unpacked source tree instead")
    parser.add_argument("--smoke", action="store_true", help="a small and quick subset")
    parser.add_argument("--reference-only", action="store_true", help="bash against itself")
    parser.add_argument(
        "--prewarm-args",
        default="--bash",
        help="options after `run` (default: --bash, as some of the tests' scripts begin with"
        " #!/bin/sh but are meant for bash)",
    )
    parser.add_argument("-j", "--jobs", type=int, default=2, help="tests at a time (default 2)")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a test (default 120)")
    parser.add_argument("--json", metavar="FILE", help="write all results there")
    options = parser.parse_intermixed_args()
    if options.reference_only:
        options.filter = [word for word in [options.prewarm, *options.filter] if word]
        options.prewarm = None
    elif not options.prewarm:
        parser.error("which prewarm? (its path is missing)")
    if not options.cache and not options.source:
        parser.error("one of --cache and --source is needed")
    return options


def _names(tree, options):
    names = sorted(path.name for path in (tree / "tests").glob("run-*"))
    names = [name for name in names if name not in NOT_TESTS and re.fullmatch(r"[\w-]+", name)]
    names.sort(key=lambda name: (name not in SLOW, name))
    if options.smoke:
        names = [name for name in names if name in SMOKE]
    if options.filter:
        names = [name for name in names if any(part in name for part in options.filter)]
    return names


def _report(result):
    print(f"{result.verdict}: {result.name} ({result.seconds_reference:.1f} s)")
    if result.verdict == "differs":
        print("\n".join(f"    {line}" for line in result.difference.split("\n")))
    sys.stdout.flush()


def _run_all(tree, names, options, work):
    built = work / "built"
    build.helpers(tree, built)
    build.shells(built, options.prewarm, options.prewarm_args.split())
    arena = trial.Arena(work / "arena", tree, built)
    subject = options.prewarm is not None
    jobs = [Job(name, arena, options.timeout, subject) for name in names]
    results = []
    context = multiprocessing.get_context("fork")
    with context.Pool(options.jobs, supervise.prepare_worker) as pool:
        for result in pool.imap_unordered(run_job, jobs):
            _report(result)
            results.append(result)
    return sorted(results, key=lambda r: r.name)


def _summarise(results, options):
    if options.json:
        rows = [dataclasses.asdict(result) for result in results]
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    by_verdict = {}
    for result in results:
        by_verdict.setdefault(result.verdict, []).append(result.name)
    for verdict in ("flaky", "timeout"):
        if verdict in by_verdict:
            print(f"not counted, {verdict} under plain bash: {' '.join(by_verdict[verdict])}")
    same, differs = (len(by_verdict.get(verdict, [])) for verdict in ("same", "differs"))
    expected = sum(result.as_expected for result in results)
    print(f"{expected} of {len(results)} as bash's authors expect, by plain bash")
    print(f"{same} passed, {differs} failed")
    return differs == 0


def main():
    options = _arguments()
    try:
        tree = options.source.absolute() if options.source else source.fetch(options.cache)
        names = _names(tree, options)
        if not names:
            sys.exit("run.py: no test has such a name")
        work = pathlib.Path(tempfile.mkdtemp(prefix="bash-suite-"))
        try:
            results = _run_all(tree, names, options, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except source.Unavailable as reason:
        print(f"skipped: {reason}")
        sys.exit(EXIT_SKIPPED)
    sys.exit(0 if _summarise(results, options) else 1)


if __name__ == "__main__":
    main()
