# SPDX-License-Identifier: MIT
"""What is to run in the machine, and as whom. Root sees, and may do, other things than people."""

USER = 1000  # the people

STEPS = (
    ("self-test", "user"),
    ("doctor", "root"),
    ("doctor", "user"),
    ("warm", "root"),
    ("warm", "user"),
    ("cold", "root"),
    ("cold", "user"),
    ("corpus", "user"),
    ("faults", "root"),
    ("image", "root"),
    ("image", "user"),
    ("direct", "root"),
)

# What the kernel is told for a step; steps for which it is told the same are in one machine. Of
# Debian's security modules one gives each process a label, and then no process becomes another
# program without an exec.
KERNEL_WORDS = {"direct": "lsm=landlock,yama"}

# Of the unit tests those of src/cold.
COLD = (
    "CaptureTest CheckChain CommandChainTest CommandTest Ends Exec HostTaskTest Identity "
    "IoUringBackend LibcActions Lifetime Links OurPosixSpawn OwnedProcessTest Plan "
    "PosixSpawnBackend PosixSpawnByBoth PosixSpawnMaskedTest PosixSpawnTest PreloadTest Resources "
    "RingFallback RingSoak SearchPlaces"
).split()

# Of test/faults what asks the kernel for something, and not only bash or the file system. The other
# cases of `signals` launch so often that each takes minutes here, and
# `limits.priority_changed_without_policy` so seldom that nothing is parked in time.
FAULTS = (
    "exactly_once",
    "limits.none",
    "limits.open_files*",
    "limits.processes_*",
    "limits.memory",
    "limits.processor_time",
    "limits.file_size",
    "limits.changed_in_script",
    "limits.attributes_changed_in_script",
    "limits.group_*",
    "limits.no_*",
    "limits.proc_goes_away",
    "limits.shared_memory_directory",
    "limits.descriptors_*",
    "signals.interrupted_at_start_*",
    "signals.terminated_at_start_*",
    "signals.stopped_*",
    "signals.inherited",
)


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


def machines(words):
    """(what the kernel is told, the words for the steps in there) for each machine."""
    wanted = {}
    for word in words or dict.fromkeys(step for step, _ in STEPS):
        said = KERNEL_WORDS.get(word.partition(".")[0], "")
        wanted.setdefault(said, []).append(word)
    return list(wanted.items())


def unknown(words):
    """Those of `words` that are about no step."""
    return [word for word in words if not steps([word])]
