# SPDX-License-Identifier: MIT
"""What is to run in the machine, and as whom. Root sees, and may do, other things than people."""

USER = 1000  # the people

STEPS = (
    ("self-test", "user"),
    ("doctor", "root"),
    ("doctor", "user"),
    ("warm", "root"),
    ("warm", "user"),
    ("corpus", "user"),
    ("faults", "root"),
)

# Areas of test/faults that ask the kernel for something, and not only bash or the file system.
FAULTS = ("exactly_once", "limits", "signals")

# Cases of these that fail for want of speed, and for nothing else.
TOO_SLOW = {
    "limits.priority_changed_without_policy": "of five launches in a row none may find a parked one",
}


def steps(words):
    """(step, names, user) for each step that one of `words` is about: STEP or STEP.NAME."""
    if not words:
        return [(step, [], user) for step, user in STEPS]
    chosen = []
    for step, user in STEPS:
        names = [word.partition(".")[2] for word in words if word.partition(".")[0] == step]
        if names:
            chosen.append((step, [name for name in names if name], user))
    return chosen


def unknown(words):
    """Those of `words` that are about no step."""
    return [word for word in words if not steps([word])]
