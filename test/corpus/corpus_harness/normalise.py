# SPDX-License-Identifier: MIT
"""The few things that two runs of one script may differ in without meaning it.

Each rule is as narrow as it can be: a rule that is too wide hides a fault.
"""

import re

# Pids below this could as well be a status or a count that the script printed,
# so they are left alone (a container that counts from 1 needs its scripts not to
# print pids at all, which none of the corpus does but in bash's own messages).
_SMALLEST_PID = 1000

# bash announcing the death of a child: "FILE: line 3: 12345 Killed   sleep 5".
# The pid is right-justified in a field of five, so the blanks before it belong to it.
_DEATH = re.compile(
    rb"(: line \d+: ) *\d+( (?:Hangup|Quit|Illegal|Trace|Abort|Bus|Floating|Killed|User"
    rb"|Segmentation|Broken|Alarm|Terminated|Stack|CPU|File size|Virtual|Profiling|I/O"
    rb"|Power|Bad system|Unknown|Real|Done|Exit))"
)

# A further element of a pipeline in such a message, on a line of its own:
# "     12346 Done                    | cat", also with nothing but the bar.
_DEATH_NEXT = re.compile(rb"(?m)^ +\d+( (?:[A-Z][^\n|]*)?\| )")

# An interactive-style job line: "[1] 12345", "[1]+ 12345 Running  …".
_JOB = re.compile(rb"(?m)^(\[\d+\][+-]? +)\d+\b")

# bash's only message that names its own children otherwise: `wait PID` for a
# stranger, and "warning: … coproc [12345:NAME] still exists".
_COPROC = re.compile(rb"(coproc \[)\d+(:)")


def _pid_pattern(pid):
    return re.compile(rb"(?<![0-9A-Za-z_])%d(?![0-9A-Za-z_])" % pid)


def normalise(text, pid):
    """text (bytes) with the accidental replaced; pid is the script's own."""
    if pid >= _SMALLEST_PID:
        text = _pid_pattern(pid).sub(b"<pid-of-script>", text)
    text = _DEATH.sub(rb"\1<pid>\2", text)
    text = _DEATH_NEXT.sub(rb" <pid>\1", text)
    text = _JOB.sub(rb"\1<pid>", text)
    return _COPROC.sub(rb"\1<pid>\2", text)
