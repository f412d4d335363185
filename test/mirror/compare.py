# SPDX-License-Identifier: MIT
"""Comparison of two runs of one script: what may differ, what is normalised, how it is shown."""

import dataclasses
import difflib
import fnmatch
import re


@dataclasses.dataclass(frozen=True)
class Difference:
    """A key of the mirror's report that may differ in launches of these kinds, and why."""

    key: str  # a shell pattern
    kinds: frozenset
    reason: str


def _difference(key, kinds, reason):
    return Difference(key, frozenset(kinds.split()), reason)


# Every entry here must be in docs/differences.md with the same reason; nothing else may differ.
differences = [
    _difference("stack.starts_with_argc_argv", "direct brokered",
                "ld.so's __libc_stack_end stays where the parking exec put argc"),
    _difference("task.forked_without_exec", "direct brokered",
                "a clone was forked from its zygote; the kernel clears this flag in execve only"),
    _difference("usage.age", "direct brokered",
                "the kernel counts a process's age from its fork, and it was parked since"),
    _difference("library.child_handler_runs", "direct brokered",
                "registered fork handlers run in a clone: this is what makes libraries reseed"),
]

# The mirror never shows process ids, but the shell's own messages do.
_shell_messages = [
    (re.compile(rb"--shell-pid \d+"), rb"--shell-pid PID"),
    (re.compile(rb"(line \d+:) +\d+ "), rb"\1 PID "),
    (re.compile(rb"^ +\d+ +(?=[^ ]* +\| )", re.M), rb"PID "),
    (re.compile(rb"^(\[\d+\][-+ ]*) *\d+\b", re.M), rb"\1 PID"),
    (re.compile(rb"^(real|user|sys)\s+(\d+m)?[\d.,]+s?", re.M), rb"\1 TIME"),
    (re.compile(rb"/proc/\d+/"), rb"/proc/PID/"),
]

# Names that are random by nature.
_report_names = [
    (re.compile(rb"sh-thd\.\w+"), b"sh-thd.RANDOM"),
    (re.compile(rb"/dev/(pts/)\d+"), rb"/dev/\1N"),
    (re.compile(rb"(mode: 020\d+ rdev) 0x88\w\w\b"), rb"\1 PTY"),
]


def normalised_message(text):
    for pattern, replacement in _shell_messages:
        text = pattern.sub(replacement, text)
    return text


def normalised_report(text):
    for pattern, replacement in _report_names:
        text = pattern.sub(replacement, text)
    return text


def _key(line):
    return line.split(":", 1)[0]


def _filtered(text, patterns):
    """The report's lines without those whose key matches a pattern."""
    lines = normalised_report(text).decode("ascii", "backslashreplace").splitlines()
    return [line for line in lines
            if not any(fnmatch.fnmatchcase(_key(line), pattern) for pattern in patterns)]


def ignored_patterns(context):
    allowed = [d.key for d in differences if context.kind in d.kinds]
    return allowed + list(context.ignore) + list(context.distinct)


def _diff(name, cold, warm):
    return list(difflib.unified_diff(cold, warm, f"cold/{name}", f"warm/{name}", lineterm="", n=0))


def _printable(text):
    return normalised_message(text).decode("utf-8", "backslashreplace").splitlines()


def compare(context, cold, warm):
    """The unified diff of two runs' results, empty if they agree."""
    patterns = ignored_patterns(context)
    lines = []
    for name in sorted(cold.reports.keys() | warm.reports.keys()):
        lines += _diff(name, _filtered(cold.reports.get(name, b""), patterns),
                       _filtered(warm.reports.get(name, b""), patterns))
    lines += _diff("stdout", _printable(cold.stdout), _printable(warm.stdout))
    lines += _diff("stderr", _printable(cold.stderr), _printable(warm.stderr))
    lines += _diff("status", [str(cold.status)], [str(warm.status)])
    return lines


def values_of(result, key):
    """The value of `key` in every report of a run."""
    found = []
    for text in result.reports.values():
        for line in text.decode("ascii", "backslashreplace").splitlines():
            if _key(line) == key:
                found.append(line.split(": ", 1)[-1])
    return found


def check_keys(context, result):
    """Complaints about keys that aren't there, or are the same in two launches and mustn't be."""
    complaints = [f"{key} isn't in every report" for key in context.shows
                  if len(values_of(result, key)) != len(result.reports)]
    for key in context.distinct:
        values = values_of(result, key)
        if len(values) != len(result.reports) or len(set(values)) != len(values):
            complaints.append(f"{key} isn't different in every launch: {values}")
    return complaints
