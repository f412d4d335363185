# SPDX-License-Identifier: MIT
"""The place where a script runs: always the same path, always fresh.

The reference and the command under test run one after the other in the very
same directories, so that nothing that prints a path needs to be normalised:

  BASE/NAME/NAME.sh   the script, run as ../NAME.sh
  BASE/NAME/work      current directory and HOME, empty
  BASE/NAME/tmp       TMPDIR, empty
  BASE/NAME/cache     XDG_CACHE_HOME; survives between runs only where asked
"""

import os
import pathlib
import shutil
import stat
import threading

from . import snapshot, supervise
from .difference import Observation

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
# Of all runs, beside what a script asks for.
more_environment = {}


def _make_removable(path):
    """Scripts leave directories without permissions behind; rmtree can't enter them."""
    for parent, directories, _ in os.walk(path):
        for name in directories:
            child = os.path.join(parent, name)
            if not os.path.islink(child):
                os.chmod(child, stat.S_IRWXU)


def remove(path):
    if os.path.lexists(path):
        _make_removable(path)
        shutil.rmtree(path)


class Place:
    """One script's directories, and how to run something in them."""

    def __init__(self, base, script, grace_s=supervise.GRACE_S):
        self.grace_s = grace_s
        self.root = pathlib.Path(base, script.name)
        self.script = script
        self.work = self.root / "work"
        self.tmp = self.root / "tmp"
        self.cache = self.root / "cache"
        self.root.mkdir()
        self.forget_cache()

    def forget_cache(self):
        remove(self.cache)
        self.cache.mkdir()

    def _refresh(self):
        # The script as well: some write to themselves.
        (self.root / f"{self.script.name}.sh").write_bytes(self.script.text)
        for directory in (self.work, self.tmp):
            remove(directory)
            directory.mkdir(mode=0o755)

    def _environment(self):
        fixed = {
            "HOME": str(self.work),
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.tmp),
            "XDG_CACHE_HOME": str(self.cache),
        }
        return fixed | more_environment | self.script.env

    def _stdin(self, form):
        """(descriptor, thread or None): what the run reads, as its header says."""
        if form == "stdin":
            data = self.script.text
        elif self.script.stdin:
            data = self.script.stdin
        else:
            return os.open("/dev/null", os.O_RDONLY), None
        if self.script.stdin_as == "pipe":
            return _pipe_with(data)
        path = self.root / "stdin"
        path.write_bytes(data)
        return os.open(path, os.O_RDONLY), None

    def observe(self, command, form, timeout_s):
        """Run the script by command (argv prefix) in one form, from a clean state."""
        self._refresh()
        before = snapshot.shared_memory_names()
        stdin, feeder = self._stdin(form)
        try:
            outcome = supervise.run(
                command + _arguments(self.script, form),
                self.work,
                self._environment(),
                stdin,
                timeout_s,
                self.grace_s,
            )
        finally:
            os.close(stdin)
            if feeder:
                feeder.join()
        return Observation(
            outcome,
            snapshot.take(os.fsencode(self.work)),
            snapshot.take(os.fsencode(self.tmp)),
            frozenset(snapshot.shared_memory_names() - before),
        )

    def keep(self, label, observation):
        """Copy what a run left to ROOT/kept/LABEL, for a look afterwards."""
        kept = self.root / "kept" / label
        kept.mkdir(parents=True, exist_ok=True)
        (kept / "stdout").write_bytes(observation.outcome.stdout)
        (kept / "stderr").write_bytes(observation.outcome.stderr)
        status = supervise.describe_status(observation.outcome.wait_status)
        (kept / "status").write_text(f"{status}\n")
        for name, entry in observation.files.items():
            if entry.kind == "file":
                target = kept / "work" / os.fsdecode(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(entry.content)


def _arguments(script, form):
    if form == "file":
        return [f"../{script.name}.sh", *script.args]
    if form == "stdin":
        return []
    # Without arguments there is no $0 either: bash then calls itself "bash".
    name = [f"../{script.name}.sh"] if script.args else []
    return ["-c", os.fsdecode(script.text), *name, *script.args]


def _pipe_with(data):
    """The reading end of a pipe that a thread fills with data."""
    reading, writing = os.pipe()

    def feed():
        try:
            with os.fdopen(writing, "wb") as file:
                file.write(data)
        except BrokenPipeError:
            pass  # a script may stop reading when it likes

    thread = threading.Thread(target=feed)
    thread.start()
    return reading, thread
