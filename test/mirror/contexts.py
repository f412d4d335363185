#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares launches from parked processes with plain ones, in every context that matters.

For each context of the matrix a small bash script with calls of the mirror is run by plain bash and
by `PREWARM run`, and everything that the calls report, and everything that the script prints, is
compared line by line. What may differ is listed in compare.py, and nowhere else."""

import argparse
import json
import os
import re
import sys
import tempfile

import callers
import harness
import matrix_callers
import matrix_shell
import matrix_state
import self_test
import verdict

matrix = matrix_shell.contexts + matrix_state.contexts + matrix_callers.contexts


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mirror", required=True, metavar="DIR", help="where the mirror was built")
    parser.add_argument("--prewarm", metavar="FILE", help="the command under test")
    parser.add_argument("--filter", default="", metavar="REGEX",
                        help="only contexts whose name matches")
    parser.add_argument("--list", action="store_true", help="print the contexts' names and scripts")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--no-warm-check", action="store_true",
                        help="don't ask for statistics: the command is a stand-in")
    parser.add_argument("--require-stats", action="store_true",
                        help="it is a failure if the command writes no statistics")
    parser.add_argument("--warm-runs", type=int, default=1, metavar="N",
                        help="run each script N times warm (later runs may use what was learned)")
    parser.add_argument("--cold-runs", type=int, default=1, metavar="N",
                        help="run each script N times cold, to see whether the reference is stable")
    parser.add_argument("--linger", type=int, default=10, metavar="MS",
                        help="how long each call takes at least: time in which others are parked")
    parser.add_argument("--keep", action="store_true", help="keep the working directory")
    parser.add_argument("--self-test", action="store_true",
                        help="check, with stand-ins that make differences, that they are noticed")
    options = parser.parse_args()
    if not options.prewarm and not options.self_test and not options.list:
        parser.error("--prewarm is needed")
    return options


def show(outcome):
    if outcome["outcome"] == "skipped":
        print(f"skipped {outcome['name']}: {outcome['why']}", flush=True)
    elif outcome["outcome"] == "failed":
        print(f"FAILED  {outcome['name']} ({outcome['kind']})", flush=True)
        for line in outcome["diff"]:
            print("    " + line)


def count(outcomes, what):
    return sum(outcome["outcome"] == what for outcome in outcomes)


def summary(outcomes):
    unverified = sum(bool(outcome.get("note")) for outcome in outcomes)
    if unverified:
        print(f"note: not known whether anything was warm in {unverified} contexts (no statistics)")
    if count(outcomes, "skipped"):
        print(f"{count(outcomes, 'skipped')} skipped")
    print(f"{count(outcomes, 'passed')} passed, {count(outcomes, 'failed')} failed")


def run_matrix(options, chosen):
    outcomes = []
    want_stats = not options.no_warm_check
    with tempfile.TemporaryDirectory(prefix="mirror-") as root:
        prewarm = os.path.abspath(options.prewarm)
        bench = harness.Bench(root, options.mirror, prewarm, options.linger, want_stats)
        for context in chosen:
            outcomes.append(verdict.run_context(bench, context, options))
            if not options.json:
                show(outcomes[-1])
        if options.keep:
            kept = tempfile.mkdtemp(prefix="mirror-kept-")
            os.rename(root, kept)
            os.mkdir(root)
            print(f"kept in {kept}", file=sys.stderr)
    return outcomes


def main():
    options = parse_arguments()
    os.umask(0o022)
    callers.join_session_keyring()
    if options.self_test:
        return self_test.run(options)
    chosen = [context for context in matrix if re.search(options.filter, context.name)]
    if options.list:
        for context in chosen:
            print(f"{context.name} ({context.kind})\n" + context.script.strip() + "\n")
        return 0
    outcomes = run_matrix(options, chosen)
    if options.json:
        print(json.dumps(outcomes, indent=1))
    else:
        summary(outcomes)
    return 1 if count(outcomes, "failed") or not count(outcomes, "passed") else 0


if __name__ == "__main__":
    names = [context.name for context in matrix]
    assert len(set(names)) == len(names), {name for name in names if names.count(name) > 1}
    sys.exit(main())
