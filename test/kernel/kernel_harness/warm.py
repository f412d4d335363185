# SPDX-License-Identifier: MIT
"""Loops whose launches must be warm: else a kernel on which all is cold would pass everything."""

import dataclasses
import json
import os
import subprocess
import tempfile


@dataclasses.dataclass
class Loop:
    body: str
    rung: str  # what there must be some of
    options: tuple = ()
    turns: int = 30


CASES = {
    "direct": Loop("cut -d: -f2 <<<a:$i:b", "direct"),
    "substitution": Loop("x=$(grep -c a <<<banana$i); echo $x", "direct"),
    "pipeline": Loop("cut -c2- <<<a$i | sed s/1/one/", "direct"),
    "subshell": Loop("(cut -d: -f2 <<<a:$i:b; :)", "brokered"),
    "large-request": Loop("printf -v big %65536s $i; expr length \"$big\"", "direct"),
    "curl": Loop("curl -s file:///etc/passwd | head -n1", "direct", turns=8),
    "not-cloned": Loop("cut -d: -f2 <<<a:$i:b", "direct", ("--isolation", "exec")),
}


def _run(command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)


def run(prewarm, name, options=()):
    """(what is wrong with this loop, or nothing; what was launched how)."""
    loop = CASES[name]
    text = f"for ((i = 0; i < {loop.turns}; ++i)); do {loop.body}; done"
    with tempfile.TemporaryDirectory() as directory:
        script = os.path.join(directory, "script")
        stats = os.path.join(directory, "stats")
        with open(script, "w") as file:
            file.write(text)
        reference = _run(["bash", script])
        options = ["--no-learn", "--stats-json", stats, *loop.options, *options]
        subject = _run([prewarm, "run", *options, script])
        with open(stats) as file:
            commands = json.load(file)["commands"]
    fault = ""
    for what in ("returncode", "stdout", "stderr"):
        expected, got = getattr(reference, what), getattr(subject, what)
        if expected != got:
            fault += f"{what} is {got!r}, bash's {expected!r}\n"
    if not sum(command[loop.rung] for command in commands):
        fault += f"no launch was {loop.rung}\n"
    return fault, "\n".join(_line(command) for command in commands)


def _line(command):
    reasons = ", ".join(f"{count} {reason}" for reason, count in command["reasons"].items())
    return (
        f"{command['command']}: {command['direct']} direct, {command['brokered']} brokered, "
        f"{command['cold']} cold{f' ({reasons})' if reasons else ''}"
    )
