# SPDX-License-Identifier: MIT
"""Whether one context passes: cold and warm runs agree, what must differ from launch to launch
does, and something was warm where it has to be."""

import compare
import requirements


def warm_launches(stats):
    """How many launches the statistics say were warm; None without statistics."""
    if not isinstance(stats, dict):
        return None
    return sum(command.get("direct", 0) + command.get("brokered", 0)
               for command in stats.get("commands", []))


def reasons(stats):
    found = {}
    for command in (stats or {}).get("commands", []):
        for reason, count in command.get("reasons", {}).items():
            found[reason] = found.get(reason, 0) + count
    return found


def check_warmth(context, runs, options):
    """Complaints if nothing was warm where something has to be; a note where that isn't known."""
    if options.no_warm_check:
        return [], None
    counts = [warm_launches(run.stats) for run in runs]
    if None in counts:
        note = "no statistics were written"
        return ([note] if options.require_stats else []), note
    if context.expect_warm and sum(counts) == 0:
        return [f"no launch was warm: {reasons(runs[-1].stats)}"], None
    return [], None


def _run_once(bench, context, options):
    """One context's outcome, as --json shows it, and whether all that it lacks is a warm launch."""
    cold = bench.run(context, warm=False)
    complaints = compare.check_keys(context, cold)
    if not cold.reports:
        complaints.append(f"no call of the mirror left a report: {cold.stderr!r}")
    for _ in range(options.cold_runs - 1):
        complaints += compare.compare(context, cold, bench.run(context, warm=False))
    runs = [bench.run(context, warm=True) for _ in range(options.warm_runs)]
    for run in runs:
        complaints += compare.compare(context, cold, run) + compare.check_keys(context, run)
    unwarm, note = check_warmth(context, runs, options)
    outcome = {"name": context.name, "kind": context.kind, "calls": len(cold.reports),
               "outcome": "failed" if complaints or unwarm else "passed",
               "warm": [warm_launches(run.stats) for run in runs],
               "reasons": reasons(runs[-1].stats), "diff": complaints + unwarm, "note": note}
    return outcome, bool(unwarm and not complaints)


def run_context(bench, context, options):
    """One context's outcome. On a busy machine parking may take longer than the whole script: if
    nothing was warm, both sides are run again with calls that take longer, twice."""
    lacking = requirements.missing(context, bench)
    if lacking:
        return {"name": context.name, "outcome": "skipped", "why": lacking}
    linger_ms = bench.linger_ms
    for factor in (1, 4, 16):
        bench.linger_ms = linger_ms * factor
        outcome, again = _run_once(bench, context, options)
        if not again:
            break
    bench.linger_ms = linger_ms
    return outcome
