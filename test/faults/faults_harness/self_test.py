# SPDX-License-Identifier: MIT
"""Proves that the cases can fail: each runs a stand-in with a fault that it must notice."""

import argparse
import os
import pathlib
import shlex
import sys
import tempfile

from . import cases, supervise

STAND_IN = pathlib.Path(__file__).resolve().parent / "stand_in.py"

# Fault of the stand-in -> cases that must fail because of it.
MUST_FAIL = {
    "twice": ("exactly_once.killed_often", "exactly_once.killed_blindly", "kinds.plain",
              "concurrency.twenty_subshells"),
    "loses": ("exactly_once.killed_now_and_then", "exactly_once.killed_isolated",
              "exactly_once.killed_blindly"),
    "chatty": ("limits.none", "parts.agent_missing", "limits.open_files", "limits.cache_unusable",
               "limits.no_devices", "exactly_once.deaths_are_not_seen"),
    "other_status": ("limits.none", "cleanup.exit_3", "signals.killed_all_at_once",
                     "concurrency.scripts_sharing_a_cache"),
    "hangs": ("limits.none", "cleanup.exit_3"),
    "leaves_process": ("cleanup.exit_3", "cleanup.exec", "cleanup.killed_at_any_time",
                       "concurrency.subshell_outlives_the_shell"),
    "leaves_file": ("cleanup.exit_3", "cleanup.nothing_in_temporary_directories"),
    "keeps_descriptors": ("cleanup.pipes_of_the_caller_are_not_held",
                          "cleanup.standard_output_is_not_held"),
    "named_child": ("cleanup.tools_find_no_tool",),
    "odd_parked": ("cleanup.descriptors", "cleanup.directory_and_names"),
    "stale": ("replaced.moved_over", "replaced.link_switched", "replaced.removed",
              "replaced.not_executable"),
    "deaf": ("terminal.ctrl_c_plain", "terminal.ctrl_c_at_any_time", "terminal.stop_and_kill",
             "signals.group_while_running_default", "signals.interrupted_at_start_simple"),
    "changes_terminal": ("terminal.reading_lines", "terminal.tools_see_the_terminal"),
    "runs_program": ("parts.product_whole", "kinds.own_entry", "kinds.scripts"),
}
# With nothing wrong they pass: what they compare doesn't depend on chance.
MUST_PASS = tuple(sorted({name for names in MUST_FAIL.values() for name in names}))


# With nothing wrong at all: Python would leave other dispositions of signals behind.
FAITHFUL = r"""#!/bin/sh
shift
while :; do
  case $1 in
    --stats-json | --isolation | --max-warm) shift 2 ;;
    -*) shift ;;
    *) exec bash "$@" ;;
  esac
done
"""


def command_with(fault, directory):
    path = pathlib.Path(directory) / fault
    line = " ".join(map(shlex.quote, (sys.executable, str(STAND_IN), fault)))
    path.write_text(FAITHFUL if fault == "none" else f'#!/bin/sh\nexec {line} "$@"\n')
    path.chmod(0o755)
    return str(path)


def options_for(fault, directory, like):
    return argparse.Namespace(
        prewarm=command_with(fault, directory),
        prewarm_args="",
        launches=60,
        warm_check=False,
        keep=like.keep,
        patience=0.1 if fault == "hangs" else 1,
    )


def judged(fault, names, word, directory, like):
    options = options_for(fault, directory, like)
    for name in names:
        verdict = supervise.judge(cases.CASES[name], options)
        if verdict.word == "skipped":
            yield verdict
            continue
        right = verdict.word == word
        reason = "" if right else f"it {verdict.word}: {verdict.reason}"
        first = verdict.reason.splitlines()[:1] if word == "failed" else []
        yield supervise.Verdict(
            f"{name} with a stand-in that has the fault {fault!r} must have {word}",
            "passed" if right else "failed",
            reason or "".join(first),
            verdict.seconds,
        )


def run(report, summary, options):
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="prewarm-faults-") as directory:
        os.chmod(directory, 0o755)
        plan = [("none", MUST_PASS, "passed")]
        plan += [(fault, names, "failed") for fault, names in MUST_FAIL.items()]
        for fault, names, word in plan:
            for verdict in judged(fault, names, word, directory, options):
                verdicts.append(verdict)
                report(verdict)
    return summary(verdicts)
