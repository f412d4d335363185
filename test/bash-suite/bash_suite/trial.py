# SPDX-License-Identifier: MIT
"""Run one of bash's tests with one shell, and say what came of it."""

import dataclasses
import os
import pathlib
import re
import shutil

from corpus_harness import normalise, place, supervise

from . import build


@dataclasses.dataclass
class Trial:
    """One run of one test: what it printed, with the accidental replaced."""

    output: bytes  # of run-NAME: mostly a diff against what bash's authors expect
    result: bytes  # what the test itself printed, where it was not as they expect
    status: int
    seconds: float
    timed_out: str
    processes_left: list

    def as_expected(self):
        """Whether bash's authors would call it passed."""
        return not self.result

    def same_as(self, other):
        mine, theirs = (
            (t.output, t.result, t.status, bool(t.timed_out)) for t in (self, other)
        )
        return mine == theirs


class Arena:
    """A directory in which one test at a time is run, always at the same path."""

    def __init__(self, root, tree, built):
        self.root = pathlib.Path(root)
        self.tree = tree
        self.built = built
        self.shell = self.root / "shell" / "bash"

    def _prepare(self, name, which):
        place.remove(self.root)
        for part in ("shell", "tmp", "home", "cache", "build"):
            (self.root / part).mkdir(parents=True)
        shutil.copytree(self.tree / "tests", self.root / "tests", symlinks=True)
        for helper in build.HELPERS:
            shutil.copy2(self.built / helper, self.root / "tests")
        shutil.copy2(self.built / f"bash.{which}", self.shell)
        # heredoc5.sub reads these of a build; any large text will do.
        for large, wanted in (("config.h.in", "config.h"), ("version.c", "version.h")):
            shutil.copy2(self.tree / large, self.root / "build" / wanted)
        shutil.copy2(self.tree / "y.tab.c", self.root / "build")
        self._move_output(self.root / "tests" / name)

    def _move_output(self, script):
        """A few tests write to a fixed name in /tmp; it becomes one of our own."""
        text = script.read_bytes()
        script.write_bytes(re.sub(rb'"/tmp/\$\{TEST_NAME\}\.check"', b'"$BASH_TSTOUT"', text))

    def _environment(self):
        return {
            # Relative for run-all's sake, absolute for tests that change directory.
            "PATH": f".:{self.root}/tests:{place.PATH}",
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "BUILD_DIR": str(self.root / "build"),
            "BASH_TSTOUT": str(self.root / "tmp" / "bashtst"),
            "THIS_SH": str(self.shell),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
        }

    def _clean(self, text):
        """text without pids and the random parts of temporary names."""
        text = normalise.normalise(text, 0)
        # mktemp's and bash's own names below TMPDIR: a fixed prefix, then chance.
        tmp = re.escape(os.fsencode(self.root / "tmp"))
        text = re.sub(tmp + rb"/(sh-\w+|bash\w*|tmp)[.-][A-Za-z0-9]{4,}", rb"<tmp>/\1.X", text)
        # What an interactive bash without a terminal says of itself.
        return re.sub(rb"(terminal process group \()\d+", rb"\1<pid>", text)

    def run(self, name, which, timeout_s):
        """Run test `name` (run-…) with shell `which` (reference or subject)."""
        self._prepare(name, which)
        with open(os.devnull, "rb") as stdin:
            outcome = supervise.run(
                ["sh", name], self.root / "tests", self._environment(), stdin, timeout_s
            )
        written = self.root / "tmp" / "bashtst"
        result = written.read_bytes() if written.exists() else b""
        return Trial(
            output=self._clean(outcome.stdout + b"-- stderr --\n" + outcome.stderr),
            result=self._clean(result),
            status=outcome.wait_status,
            seconds=outcome.seconds,
            timed_out=outcome.timed_out,
            processes_left=outcome.processes_left,
        )
