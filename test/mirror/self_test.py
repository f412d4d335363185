# SPDX-License-Identifier: MIT
"""Proves that the comparison notices differences: stand-ins for prewarm that run plain bash, each
after changing one thing that a launch must not change."""

import argparse
import dataclasses
import json
import os
import pathlib
import tempfile

import harness
import verdict
from matrix_shell import brokered, calls, each


@dataclasses.dataclass
class StandIn:
    name: str
    body: str  # what it does before it runs the script
    key: str  # what the comparison has to name; empty if it has to pass
    context: harness.Context


_plain = harness.Context("plain", calls)
_quiet = harness.Context("quiet", each("{{mirror $i --say x}}"))
_canary = harness.Context("canary", each("{{mirror $i --canary}}"), distinct=["canary.value"],
                          ignore=["canary.at_random", "canary.pointer_guard"])
_subshell = brokered("subshell", each("( {{mirror $i}}; : )"))
_program = 'for word; do script=$word; done\n'

stand_ins = [
    StandIn("honest", "", "", _plain),
    StandIn("honest_canary", "", "", _canary),
    StandIn("environment", "export EXTRA=1", "environ.count", _plain),
    StandIn("umask", "umask 077", "umask", _plain),
    StandIn("descriptor", "exec 7</dev/null", "fd.list", _plain),
    StandIn("ignored_signal", "trap '' USR1", "signal.action.10", _plain),
    StandIn("limit", "ulimit -S -n 99", "limit.nofile", _plain),
    StandIn("directory", "cd /", "cwd.getcwd", _plain),
    StandIn("nice", "renice -n 3 -p $$ >/dev/null", "sched.nice", _plain),
    StandIn("output", "echo surprise", "+surprise", _plain),
    StandIn("errors", "echo surprise >&2", "+surprise", _plain),
    StandIn("no_output", "exec >/dev/null", "-x", _quiet),
    StandIn("status", 'bash "$@"; exit 3', "+3", _plain),
    StandIn("argument", _program + "sed -i 's/--linger/extra --linger/' $script",
            "argv.count", _plain),
    StandIn("missing_call", _program + "sed -i 's/1 2 3 4/1 2 3/' $script", "--- cold/4", _plain),
    # Where a key may differ, the others still may not.
    StandIn("parent_of_brokered", _program + "sed -i 's/--shell-pid ../--shell-pid 1/' $script",
            "session", _subshell),
    StandIn("same_canary",
            _program + "echo 'sed -i \"s/^canary.value: .*/canary.value: 1/\" out/*' >> $script",
            "canary.value isn't different", _canary),
]


def _options(with_stats):
    return argparse.Namespace(no_warm_check=not with_stats, require_stats=with_stats,
                              warm_runs=1, cold_runs=1)


def _write_program(path, text):
    path.write_text("#!/bin/bash\nshift\n" + text + '\nexec bash "$@"\n')
    path.chmod(0o755)
    return str(path)


def _run(directory, mirror, name, body, context, with_stats=False):
    root = directory / f"root-{name}"
    root.mkdir()
    prewarm = _write_program(directory / name, body)
    bench = harness.Bench(root, mirror, prewarm, 0, with_stats)
    return verdict.run_context(bench, context, _options(with_stats))


def _check_stand_in(directory, mirror, stand_in):
    outcome = _run(directory, mirror, stand_in.name, stand_in.body, stand_in.context)
    if not stand_in.key:
        return outcome["outcome"] == "passed", outcome
    named = any(stand_in.key in line for line in outcome["diff"])
    return outcome["outcome"] == "failed" and named, outcome


def _check_stats(directory, mirror, name, stats, wanted):
    """Stand-ins that write statistics: what was promised warm has to be."""
    text = json.dumps(stats) if stats is not None else ""
    write = f"printf '%s' '{text}' > \"$2\"\n" if text else ""
    outcome = _run(directory, mirror, name, write + "shift 2", _plain, with_stats=True)
    return outcome["outcome"] == wanted, outcome


def _stats(direct, cold):
    return {"commands": [{"command": "mirror", "path": "/mirror", "direct": direct, "brokered": 0,
                          "cold": cold, "reasons": {"not_parked": cold}}]}


def run(options):
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="mirror-") as root:
        directory = pathlib.Path(root)
        os.chmod(directory, 0o755)
        checks = [(s.name, _check_stand_in(directory, options.mirror, s)) for s in stand_ins]
        for name, stats, wanted in (("stats_warm", _stats(3, 1), "passed"),
                                    ("stats_cold", _stats(0, 4), "failed"),
                                    ("stats_missing", None, "failed")):
            checks.append((name, _check_stats(directory, options.mirror, name, stats, wanted)))
    for name, (right, outcome) in checks:
        passed, failed = passed + right, failed + (not right)
        if not right:
            print(f"FAILED  {name}: {json.dumps(outcome, indent=1)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
