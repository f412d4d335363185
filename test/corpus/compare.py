#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the corpus by plain bash and by `PREWARM run`, and compare everything.

Compared are stdout and stderr (bytes; pids normalised, see
corpus_harness/normalise.py), exit status or signal, the tree of files left in
the working directory and in TMPDIR, and whether any process or anything in
shared memory is left behind. README.md beside this file has the whole story.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True  # this may be run from a tree that is not ours to write to

from corpus_harness import images, script, self_test, snapshot, suite  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


def _list_of(allowed):
    def parse(text):
        names = list(allowed) if text == "all" else text.split(",")
        for name in names:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(allowed)}, all")
        return names

    return parse


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prewarm", nargs="?", help="the command under test (path of prewarm)")
    parser.add_argument("filter", nargs="*", help="only scripts whose name contains one of these")
    parser.add_argument(
        "--variant",
        type=_list_of(suite.VARIANTS),
        default=["default"],
        help=f"comma-separated, or all: {', '.join(suite.VARIANTS)} (default: default)",
    )
    parser.add_argument(
        "--form",
        type=_list_of(("own", *script.FORMS)),
        default=["own"],
        help="how the script is given: own (as its header says, the default), "
        f"{', '.join(script.FORMS)}; comma-separated, or all",
    )
    parser.add_argument("--prewarm-args", default="", help="more options after `run`")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="scripts at a time (default 2)")
    parser.add_argument("--images", action="store_true", help="everything twice, beside a loader "
                        "service that has programs of any size start from images")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds a run (default 30)")
    parser.add_argument("--keep", action="store_true", help="keep what each run left, say where")
    parser.add_argument("--json", metavar="FILE", help="write all results there")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="list the N slowest")
    parser.add_argument("--list", action="store_true", help="name the scripts, run nothing")
    parser.add_argument("--directory", type=pathlib.Path, default=HERE, help=argparse.SUPPRESS)
    parser.add_argument(
        "--reference-only",
        type=int,
        metavar="N",
        default=0,
        help="compare N further runs of plain bash with the first: finds flaky scripts",
    )
    parser.add_argument("--self-test", action="store_true", help="prove that faults are noticed")
    options = parser.parse_intermixed_args()
    if options.reference_only or options.list:
        # There is no command under test then: every word is a filter.
        options.filter = [w for w in [options.prewarm, *options.filter] if w]
    elif not options.self_test and not options.prewarm:
        parser.error("which prewarm? (its path is missing)")
    return options


def _jobs(options, scripts, base):
    for item in scripts:
        forms = {item.mode if form == "own" else form for form in options.form}
        for form in sorted(forms, key=script.FORMS.index):
            if item.form_applies(form):
                directory = os.path.join(base, form)
                os.makedirs(directory, exist_ok=True)
                yield suite.Job(
                    script=item,
                    form=form,
                    variants=options.variant,
                    command=_command(options),
                    base=directory,
                    timeout_s=options.timeout,
                    keep=options.keep,
                    repeat=options.reference_only,
                )


def _command(options):
    if options.reference_only:
        return []
    return [os.path.abspath(options.prewarm), "run", *options.prewarm_args.split()]


def _report(result):
    title = f"{result.script} ({result.form}, {result.variant})"
    if result.verdict == "skipped":
        print(f"skipped {title}: {result.reason}")
    elif result.verdict == "failed":
        print(f"FAILED {title}")
        for difference in result.differences:
            print(f"  {difference.kind}:")
            print("\n".join(f"    {line}" for line in difference.text.split("\n")))
    sys.stdout.flush()


def _write_json(path, results):
    rows = [
        {
            "script": r.script,
            "form": r.form,
            "variant": r.variant,
            "verdict": r.verdict,
            "reason": r.reason,
            "seconds_reference": round(r.seconds_reference, 6),
            "seconds": round(r.seconds, 6),
            "differences": [{"kind": d.kind, "text": d.text} for d in r.differences],
        }
        for r in results
    ]
    pathlib.Path(path).write_text(json.dumps(rows, indent=1) + "\n")


def _summarise(options, results):
    for result in sorted(results, key=lambda r: -r.seconds_reference)[: options.slowest]:
        print(f"{result.seconds_reference:7.3f} s bash, {result.seconds:7.3f} s under test: "
              f"{result.script} ({result.form}, {result.variant})")
    count = {verdict: 0 for verdict in ("passed", "failed", "skipped")}
    for result in results:
        count[result.verdict] += 1
    if count["skipped"]:
        print(f"{count['skipped']} skipped")
    print(f"{count['passed']} passed, {count['failed']} failed")
    return count["failed"] == 0


def _compare_all(options):
    scripts = script.load_all(options.directory, options.filter)
    if not scripts:
        sys.exit("compare.py: no script has such a name")
    if options.list:
        print("\n".join(item.name for item in scripts))
        return True
    base = tempfile.mkdtemp(prefix="corpus-")
    try:
        jobs = list(_jobs(options, scripts, base))
        if options.images:
            with images.Service(options.prewarm) as service:
                # What has no image yet gets one meanwhile.
                results = suite.run_jobs(jobs, options.jobs, _report)
                results += suite.run_jobs(jobs, options.jobs, _report)
                starts = service.starts()
        else:
            results = suite.run_jobs(jobs, options.jobs, _report)
    finally:
        if options.keep:
            print(f"kept: {base}/FORM/NAME/kept")
        else:
            shutil.rmtree(base, ignore_errors=True)
    for blamed in suite.blame_for_shared_memory(results, snapshot.shared_memory_abandoned()):
        _report(blamed)
    if options.json:
        _write_json(options.json, results)
    right = _summarise(options, results)
    if options.images:
        print(f"{starts['plain']} cold launches and {starts['parked']} zygotes started from images")
        right = right and min(starts.values()) >= len(scripts)
    return right


def main():
    options = _arguments()
    right = self_test.run() if options.self_test else _compare_all(options)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
