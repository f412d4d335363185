# SPDX-License-Identifier: MIT
"""Say in what two runs of one script differ, for a reader."""

import dataclasses
import difflib

from .normalise import normalise
from .supervise import describe_status


@dataclasses.dataclass
class Difference:
    kind: str  # stdout, stderr, status, files, processes, pipes, temporary, shared-memory, timeout
    text: str


@dataclasses.dataclass
class Observation:
    """All that is compared of one run."""

    outcome: object  # supervise.Outcome
    files: dict  # of the working directory, from snapshot.take
    temporary: dict  # of TMPDIR, likewise
    shared_memory: frozenset  # names that are new after the run


def printable(data):
    return data.decode("utf-8", "backslashreplace")


def unified(before, after, label):
    """A unified diff of two byte strings, one string."""
    lines = difflib.unified_diff(
        printable(before).split("\n"),
        printable(after).split("\n"),
        f"{label} of bash",
        f"{label} of the command under test",
        lineterm="",
    )
    return "\n".join(lines)


def _streams(reference, subject):
    for label in ("stdout", "stderr"):
        before = normalise(getattr(reference, label), reference.pid)
        after = normalise(getattr(subject, label), subject.pid)
        if before != after:
            yield Difference(label, unified(before, after, label))


def _status(reference, subject):
    if reference.wait_status != subject.wait_status:
        before = describe_status(reference.wait_status)
        after = describe_status(subject.wait_status)
        yield Difference("status", f"bash: {before}; under test: {after}")


def _trees(kind, before, after):
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        shown = printable(name)
        if new is None:
            yield Difference(kind, f"{shown}: missing (bash leaves {old.describe()})")
        elif old is None:
            yield Difference(kind, f"{shown}: {new.describe()}, which bash does not leave")
        elif old.content == new.content:
            yield Difference(kind, f"{shown}: {new.describe()}; bash leaves {old.describe()}")
        else:
            text = f"{new.describe()}; bash leaves {old.describe()}"
            yield Difference(kind, f"{shown}: {text}\n{unified(old.content, new.content, shown)}")


def leftovers(observation):
    """What no run may leave, the reference's own runs included."""
    outcome = observation.outcome
    if outcome.timed_out:
        yield Difference("timeout", f"time is up; it was doing:\n{outcome.timed_out}")
    if outcome.held_pipes:
        yield Difference("pipes", "stdout or stderr was still held open after the end")
    for process in outcome.processes_left:
        yield Difference("processes", f"still there after the end: {process}")
    for name in sorted(observation.shared_memory):
        yield Difference("shared-memory", f"left in shared memory: {name}")


def compare(reference, subject):
    """Every difference between two Observations, as a list."""
    found = list(leftovers(subject))
    # A run that was cut short differs in everything: one reason is enough.
    if not subject.outcome.timed_out:
        found += _streams(reference.outcome, subject.outcome)
        found += _status(reference.outcome, subject.outcome)
        found += _trees("files", reference.files, subject.files)
        found += _trees("temporary", reference.temporary, subject.temporary)
    return found
