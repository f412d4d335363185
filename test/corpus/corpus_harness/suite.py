# SPDX-License-Identifier: MIT
"""Run scripts by plain bash and by the command under test, in several variants."""

import dataclasses
import multiprocessing
import shutil
import traceback

from . import place, supervise
from .difference import Difference, compare, leftovers

REFERENCE = ["bash"]

# A variant is what the command under test is given besides the script, and how
# often it runs with one and the same cache (a second run finds a learned profile).
VARIANTS = {
    "default": ([], 1),
    "max-warm-0": (["--max-warm", "0"], 1),
    "exec": (["--isolation", "exec"], 1),
    "learned": ([], 2),
}


@dataclasses.dataclass
class Job:
    """One script in one form, for all variants: the reference is run only once."""

    script: object  # script.Script
    form: str
    variants: list
    command: list  # the command under test: argv up to the options
    base: str
    timeout_s: float
    keep: bool
    repeat: int = 0  # > 0: only compare bash with itself, that often
    grace_s: float = supervise.GRACE_S


@dataclasses.dataclass
class Result:
    script: str
    form: str
    variant: str
    verdict: str  # passed, failed or skipped
    differences: list
    seconds_reference: float = 0.0
    seconds: float = 0.0
    reason: str = ""  # of a skip
    shared_memory: frozenset = frozenset()

    def judge(self):
        self.verdict = "failed" if self.differences else "passed"
        return self


def _missing(script):
    return [name for name in script.needs if not shutil.which(name, path=place.PATH)]


def _fault_of_reference(observation):
    """Differences that say the script itself is unfit for the corpus."""
    return [Difference(f"reference {d.kind}", d.text) for d in leftovers(observation)]


def _result(job, variant, reference, subjects, differences):
    result = Result(job.script.name, job.form, variant, "", differences)
    result.seconds_reference = reference.outcome.seconds
    if subjects:
        result.seconds = subjects[-1].outcome.seconds
    # Only a look at the very end tells what stays in shared memory: another
    # run's segments, going on at the same time, are seen here as well.
    names = frozenset().union(*(s.shared_memory for s in subjects))
    result.shared_memory = names
    result.differences = [d for d in differences if d.kind != "shared-memory"]
    return result.judge()


def _explain(job, spot, reference, differences):
    """Tell a script that bash itself runs differently each time from a real fault."""
    again = spot.observe(REFERENCE, job.form, job.timeout_s)
    own = [d for d in compare(reference, again) if d.kind != "shared-memory"]
    if own:
        kinds = ", ".join(sorted({d.kind for d in own}))
        differences.append(Difference("note", f"bash differs from itself here too ({kinds})"))


def _run_variant(job, spot, reference, variant):
    options, times = VARIANTS[variant]
    spot.forget_cache()
    differences, subjects = [], []
    for turn in range(1, times + 1):
        subject = spot.observe(job.command + options, job.form, job.timeout_s)
        subjects.append(subject)
        found = compare(reference, subject)
        if times > 1:
            found = [Difference(d.kind, f"(run {turn} of {times}) {d.text}") for d in found]
        differences += found
        if job.keep:
            spot.keep(f"{variant}-{turn}", subject)
    if any(d.kind != "shared-memory" for d in differences):
        _explain(job, spot, reference, differences)
    return _result(job, variant, reference, subjects, differences)


def _run_reference_only(job, spot, reference):
    differences, subjects = [], []
    for turn in range(job.repeat):
        subject = spot.observe(REFERENCE, job.form, job.timeout_s)
        subjects.append(subject)
        found = compare(reference, subject)
        differences += [Difference(d.kind, f"(turn {turn + 1}) {d.text}") for d in found]
    return _result(job, "reference", reference, subjects, differences)


def _run_job(job):
    missing = _missing(job.script)
    if missing:
        reason = "needs " + ", ".join(missing)
        names = ["reference"] if job.repeat else job.variants
        return [Result(job.script.name, job.form, v, "skipped", [], reason=reason) for v in names]
    spot = place.Place(job.base, job.script, job.grace_s)
    reference = spot.observe(REFERENCE, job.form, job.timeout_s)
    if job.keep:
        spot.keep("reference", reference)
    faults = [d for d in _fault_of_reference(reference) if d.kind != "reference shared-memory"]
    if faults:
        results = [_result(job, "reference", reference, [], faults)]
    elif job.repeat:
        results = [_run_reference_only(job, spot, reference)]
    else:
        results = [_run_variant(job, spot, reference, variant) for variant in job.variants]
    if not job.keep:
        place.remove(spot.root)
    return results


def run_job(job):
    """All Results of one Job. Runs in a worker: its only children are the job's."""
    try:
        return _run_job(job)
    except Exception:  # a fault of this program or its surroundings must not end the suite
        difference = Difference("harness", traceback.format_exc().rstrip())
        return [Result(job.script.name, job.form, "any", "failed", [difference])]


def run_jobs(jobs, parallel, report):
    """Run all jobs, give each Result to report() as it comes; returns all of them."""
    results = []
    with multiprocessing.get_context("fork").Pool(parallel, supervise.prepare_worker) as pool:
        for batch in pool.imap_unordered(run_job, jobs):
            for result in batch:
                report(result)
                results.append(result)
    return results


def blame_for_shared_memory(results, names_left):
    """Turn names that are in shared memory to the end into failures; returns those."""
    blamed = []
    for result in results:
        names = sorted(result.shared_memory & names_left)
        if names:
            text = f"left in shared memory: {', '.join(names)}"
            result.differences.append(Difference("shared-memory", text))
            blamed.append(result.judge())
    return blamed
