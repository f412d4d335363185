# SPDX-License-Identifier: MIT
"""What a case works with: its own runtime directory, tools, calls, and a look at the owner."""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import subprocess
import time

from faults_harness import cases, processes
from faults_harness.cases import Failed, require
from faults_harness.waiting import ended, wait_until

BAD_WORKER = pathlib.Path(__file__).resolve().parent.parent / "bad_worker.py"
SECONDS = 30.0  # for what takes a moment


def case(seconds=60.0, leaves=()):
    """A case after which all must be gone: processes, and files but `leaves`."""

    def register(function):
        @functools.wraps(function)
        def whole(world):
            function(world)
            world.end(leaves)

        return cases.case(seconds)(whole)

    return register


@dataclasses.dataclass(frozen=True)
class Result:
    status: int  # as subprocess has it: negative for a signal
    out: str
    err: str


class World:
    def __init__(self, options, directory):
        self.options = options
        self.prewarm = options.prewarm
        self.tool = options.tool
        self.directory = pathlib.Path(directory)
        self.runtime = self.directory / "run"
        self.declarations = self.directory / "coprocesses.toml"
        self.env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": directory,
            "LC_ALL": "C",
            "PREWARM_RUNTIME_DIR": str(self.runtime),
            "PREWARM_DECLARATIONS": str(self.declarations),
        }

    # ---- Calls

    def start(self, *command, options=(), env=None, verb=("call",), **how):
        """A Popen of `prewarm call OPTIONS COMMAND`; its streams are pipes unless it is said."""
        for name in ("stdin", "stdout", "stderr"):
            how.setdefault(name, subprocess.PIPE)
        words = [self.prewarm, *verb, *options, *map(os.fspath, command)]
        how.setdefault("cwd", "/")
        return subprocess.Popen(words, env={**self.env, **(env or {})}, **how)

    def result(self, process, data=b"", seconds=SECONDS):
        try:
            out, err = process.communicate(data, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{process.args[1:]} did not end within {seconds} s") from None
        text = [(stream or b"").decode("utf-8", "surrogateescape") for stream in (out, err)]
        return Result(process.returncode, *text)

    def call(self, *command, data=b"", seconds=SECONDS, **how):
        return self.result(self.start(*command, **how), data, seconds)

    def expect(self, *command, status=0, out="", err="", **how):
        """A call's exact result. `err` may be a function of it."""
        result = self.call(*command, **how)
        said = err(result.err) if callable(err) else result.err == err
        require(
            (result.status, result.out) == (status, out) and said,
            f"{command}: {result}\nis not what is expected: {Result(status, out, err)}",
        )
        return result

    def declare(self, text):
        self.declarations.write_text(text, encoding="utf-8")

    def declare_command(self, path, **values):
        lines = "".join(f"{k.replace('_', '-')} = {json.dumps(v)}\n" for k, v in values.items())
        old = self.declarations.read_text() if self.declarations.exists() else ""
        self.declare(f'{old}[command."{path}"]\n{lines}')

    def bad_worker(self, name):
        path = self.directory / name
        if not path.exists():
            path.symlink_to(BAD_WORKER)
        return path

    def notes(self, path):
        notes = pathlib.Path(f"{path}.notes")
        return notes.read_text().split() if notes.exists() else []

    # ---- The owner

    @property
    def socket(self):
        return self.runtime / "pool.sock"

    def list(self):
        return json.loads(self.pool("list", "--json").out)

    def pool(self, *words):
        result = self.call(*words, verb=("pool",))
        require(result.status == 0, f"prewarm pool {words}: {result}")
        return result

    def owner(self):
        pid = self.list().get("owner")
        require(pid, "there is no owner")
        return pid

    def workers(self, program=None):
        """Records of living workers, as `prewarm pool list` has them."""
        pools = self.list()["pools"]
        return [
            dict(worker, most=pool["most"])
            for pool in pools
            if program is None or pool["program"] == str(program)
            for worker in pool["workers"]
        ]

    def warm(self, tool=None):
        """Starts the owner and a worker of `tool`; the worker's pid."""
        result = self.call(tool or self.tool, "pid")
        require(result.status == 0, f"no worker: {result}")
        return int(result.out)

    def ready(self, process, word=b"ready\n"):
        """Waits until the process says so on its standard output."""
        got = b""
        while len(got) < len(word):
            byte = os.read(process.stdout.fileno(), len(word) - len(got))
            if not byte:
                raise Failed(f"{process.args[1:]} ended: {got!r} {self.result(process)}")
            got += byte
        require(got == word, f"{process.args[1:]} said {got!r}")

    def wait(self, what, condition, seconds=SECONDS):
        value = wait_until(condition, seconds)
        require(value, f"{seconds} s, and not true: {what}")
        return value

    def gone(self, pid, seconds=SECONDS):
        require(ended(pid, seconds), f"still there after {seconds} s: {processes.look(pid)}")

    def log(self):
        log = self.runtime / "pool.log"
        return log.read_text() if log.exists() else ""

    def end(self, leaves=()):
        """Stops the owner, if there is one, and requires that nothing is left."""
        self.pool("stop")

        def nobody():
            processes.reap()
            return not processes.living_below(os.getpid())

        if not wait_until(nobody, SECONDS):
            left = processes.living_below(os.getpid())
            raise Failed("left behind: " + ", ".join(map(str, left)))
        files = set(os.listdir(self.runtime)) if self.runtime.exists() else set()
        files -= {"pool.lock", "pool.log", *leaves}
        require(not files, f"left in the runtime directory: {files}")


def descriptors(pid):
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


@contextlib.contextmanager
def timed(at_most):
    """What must not take so long: for things that would else wait for a time limit."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    require(took < at_most, f"it took {took:.1f} s")
