# SPDX-License-Identifier: MIT
"""Run a test once: by the C library, or with the library under test preloaded."""

import dataclasses
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import tempfile

from . import compile_c

_HERE = pathlib.Path(__file__).resolve().parent.parent
EXIT_UNSUPPORTED = 77


@dataclasses.dataclass
class Outcome:
    verdict: str  # pass, fail, unsupported or timeout
    output: str = ""
    # Calls of posix_spawn and posix_spawnp that were answered by the library, and by others.
    calls: int = 0
    calls_elsewhere: int = 0
    cases: int = 0  # of a test that counts its parts


class Preloaded:
    """The environment of programs that have the library under test, and a count of its calls."""

    def __init__(self, library, exports, work):
        self.library = pathlib.Path(library).absolute()
        if not self.library.exists():
            raise FileNotFoundError(self.library)
        self._counter = work / "libcount.so"
        self._calls = work / "calls"
        link = ["-shared", "-fPIC", f"-Wl,--version-script={exports}"]
        compile_c(*link, "-o", self._counter, _HERE / "count_calls.c")

    def environment(self):
        self._calls.write_bytes(bytes(16))
        return {
            "LD_PRELOAD": f"{self._counter} {self.library}",
            "PREWARM_TEST_CALLS": str(self._calls),
        }

    def calls(self):
        return struct.unpack("=QQ", self._calls.read_bytes())


def execute(command, environment, cwd, timeout_s):
    """The exit status (None if time was up) and everything printed."""
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = child.communicate(timeout=timeout_s)
        status = child.returncode
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, _ = child.communicate()
        status = None
    return status, output.decode("utf-8", "backslashreplace")


def run(test, preloaded, timeout_s):
    """preloaded is None for the C library's own functions."""
    command, environment = test.command, {}
    if preloaded and test.linked:
        command = test.linked
    elif preloaded:
        environment = preloaded.environment()
    with tempfile.TemporaryDirectory(prefix="posix-spawn-") as directory:
        for source, name in test.files:
            shutil.copy(source, pathlib.Path(directory) / name)
        status, output = execute(command, environment, directory, timeout_s)
    verdicts = {None: "timeout", 0: "pass", EXIT_UNSUPPORTED: "unsupported"}
    outcome = Outcome(verdicts.get(status, "fail"), output)
    if environment:
        outcome.calls, outcome.calls_elsewhere = preloaded.calls()
    cases = re.search(r"^Ran (\d+) tests", output, re.MULTILINE)
    outcome.cases = int(cases.group(1)) if cases else 0
    return outcome
