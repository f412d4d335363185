# SPDX-License-Identifier: MIT
"""A script run by plain bash or by `prewarm run` under given conditions, and what came of it."""

import contextlib
import dataclasses
import difflib
import fcntl
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import termios
import time

from . import processes
from .cases import Failed, require
from .terminals import Terminal
from .waiting import ended, wait_until

REFERENCE = "bash"
SUBJECT = "prewarm"
PATH = "/usr/local/bin:/usr/bin:/bin"

# Of a difference, in a message.
MOST_ROWS = 16
MOST_FILES = 4

# Scripts meet the test on these descriptors: see MEET.
SAYS = 7
HEARS = 8
# `meet WORD` in a script tells the test that this point is reached, and waits until it may go on.
# Builtins only: nothing is launched by it.
MEET = f'meet() {{ echo "$1" >&{SAYS}; read -r _ <&{HEARS}; }}\n'


@dataclasses.dataclass
class Conditions:
    """What a script meets; the same for bash and for prewarm."""

    wrapper: tuple = ()  # a command that execs its arguments
    prepare: object = None  # called in the new process, before the exec
    environment: dict = dataclasses.field(default_factory=dict)  # None as a value: not set
    stdin: object = subprocess.DEVNULL
    stdout: object = None  # a descriptor instead of the file that is compared
    arguments: tuple = ()  # of the script
    user: int = 0  # 0: as we are
    stats: bool = False
    options: tuple = ()  # of `prewarm run`
    meets: bool = False
    terminal: bool = False  # standard descriptors are a terminal, the script's controlling one
    interactive: bool = False  # an interactive bash instead, to which $RUN is the command
    command: str = ""  # the prewarm under test; "" for the World's
    populate: object = None  # called with the working directory before the run


@dataclasses.dataclass
class Outcome:
    status: int  # negative: ended by that signal
    stdout: str
    stderr: str
    files: dict
    seconds: float
    stats: dict = dataclasses.field(default_factory=dict)
    raw_stdout: str = ""
    raw_stderr: str = ""  # with the pids that are taken out elsewhere

    def of(self, name):
        """The statistics of the command `name`: direct, brokered, cold, reasons."""
        empty = {"direct": 0, "brokered": 0, "cold": 0, "reasons": {}}
        return next((c for c in self.stats.get("commands", []) if c["command"] == name), empty)

    def __str__(self):
        return f"{status_text(self.status)}, stdout {self.stdout[-500:]!r}, stderr {self.stderr[-500:]!r}"

    def warm(self):
        return sum(c["direct"] + c["brokered"] for c in self.stats.get("commands", []))


def give(descriptor, number):
    """In a new process: `descriptor` becomes `number` over the exec."""
    os.dup2(descriptor, number)
    os.set_inheritable(number, True)  # which dup2 leaves alone if they are the same


def status_text(status):
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"


def _text_difference(what, expected, got):
    if expected == got:
        return []
    rows = difflib.unified_diff(
        expected.splitlines(), got.splitlines(), "bash", "prewarm", n=1, lineterm=""
    )
    shown = [f"    {row[:300]}" for row in itertools.islice(rows, MOST_ROWS)]
    return [f"{what} differs:", *(shown or ["    in how its last line ends"])]


def differences(reference, subject):
    """Lines that say in what `subject` differs from `reference`; empty if in nothing."""
    lines = []
    if reference.status != subject.status:
        lines.append(
            f"ended with {status_text(subject.status)}, bash with {status_text(reference.status)}"
        )
    lines += _text_difference("stdout", reference.stdout, subject.stdout)
    lines += _text_difference("stderr", reference.stderr, subject.stderr)
    none = "(no such file)"
    names = sorted(reference.files.keys() | subject.files.keys())
    odd = [n for n in names if reference.files.get(n, none) != subject.files.get(n, none)]
    for name in odd[:MOST_FILES]:
        lines += _text_difference(
            f"file {name}", reference.files.get(name, none), subject.files.get(name, none)
        )
    if len(odd) > MOST_FILES:
        lines.append(f"and {len(odd) - MOST_FILES} more files differ")
    return lines


class Run:
    """A script that is running. A context manager: at its end nothing of it is running any more."""

    def __init__(self, world, which, script, conditions):
        self.world = world
        self.which = which
        self.conditions = conditions
        self.place = world.fresh_directory(which)
        self.work = self.place / "work"
        self.started = time.monotonic()
        for name in ("work", "home", "cache", "tmp"):
            (self.place / name).mkdir()
        (self.work / "script").write_text(MEET + script if conditions.meets else script)
        if conditions.populate:
            conditions.populate(self.work)
        self._give_away()
        self._start()

    def _give_away(self):
        if self.conditions.user:
            for path in [self.place, *self.place.rglob("*")]:
                os.chown(path, self.conditions.user, self.conditions.user, follow_symlinks=False)

    def _command(self):
        if self.which == REFERENCE:
            return ["bash"]
        stats = ["--stats-json", str(self.place / "stats")] if self.conditions.stats else []
        command = self.conditions.command or self.world.prewarm
        return [command, "run", *stats, *self.world.prewarm_args, *self.conditions.options]

    def _environment(self):
        place = str(self.place)
        environment = {
            "PATH": PATH,
            "HOME": f"{place}/home",
            "XDG_CACHE_HOME": f"{place}/cache",
            "TMPDIR": f"{place}/tmp",
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            **(self._interactive_environment() if self.conditions.interactive else {}),
            **self.conditions.environment,
        }
        return {name: value for name, value in environment.items() if value is not None}

    def _arguments(self):
        if self.conditions.interactive:
            return ["bash", "--norc", "--noprofile", "-i"]
        return [*self.conditions.wrapper, *self._command(), "script", *self.conditions.arguments]

    def _interactive_environment(self):
        return {"RUN": " ".join(self._command()), "PS1": "> ", "INPUTRC": "/dev/null", "HISTFILE": ""}

    def _start(self):
        said, says = os.pipe()
        hears, tell = os.pipe()
        self.said = open(said, "rb", buffering=0)  # noqa: SIM115
        self.tell = open(tell, "wb", buffering=0)  # noqa: SIM115
        os.set_blocking(said, False)
        self.terminal = Terminal() if self._has_terminal() else None
        with open(self.place / "stdout", "wb") as out, open(self.place / "stderr", "wb") as err:
            if self.terminal:
                standard = [self.terminal.slave] * 3
            else:
                own = self.conditions.stdout
                standard = [self.conditions.stdin, out if own is None else own, err]
            self.process = subprocess.Popen(
                self._arguments(),
                cwd=self.work,
                env=self._environment(),
                stdin=standard[0],
                stdout=standard[1],
                stderr=standard[2],
                start_new_session=True,
                close_fds=False,  # all ours are closed by exec, but for those that prepare places
                preexec_fn=lambda: self._prepare(says, hears),
            )
        os.close(says)
        os.close(hears)
        self.pid = self.process.pid

    def _has_terminal(self):
        return self.conditions.terminal or self.conditions.interactive

    def _prepare(self, says, hears):
        if self.terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for number in range(1, signal.NSIG):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if self.conditions.meets:
            # Either may stand where the other belongs.
            says = fcntl.fcntl(says, fcntl.F_DUPFD_CLOEXEC, HEARS + 1)
            give(hears, HEARS)
            give(says, SAYS)
        if self.conditions.user:
            os.setgroups([])
            os.setgid(self.conditions.user)
            os.setuid(self.conditions.user)
        if self.conditions.prepare:
            self.conditions.prepare()

    # -- while it runs

    def hear(self, word, seconds=20.0):
        """Waits until the script meets us at `word`."""
        heard = b""

        def arrived():
            nonlocal heard
            heard += self.said.read(4096) or b""
            return heard.endswith(b"\n") or self.process.poll() is not None

        wait_until(arrived, seconds)
        require(
            heard.decode() == f"{word}\n",
            f"{self.which}: the script did not get to {word!r} within {seconds} s; "
            f"it said {heard!r}\n{self.describe()}",
        )

    def go(self):
        with contextlib.suppress(BrokenPipeError):  # it was ended meanwhile
            self.tell.write(b"\n")

    def parked(self):
        return processes.parked_below(self.pid)

    def settle(self, seconds=1.0):
        """Waits until everything that is being parked waits for its request (or is given up).

        There may be nothing at all to wait for, so the end of the time is no failure.
        """
        before = None

        def quiet():
            nonlocal before
            now = [(p.pid, p.comm, p.state) for p in processes.living_below(self.pid)]
            waiting = all(comm == processes.PARKED and state == "S" for _, comm, state in now)
            same, before = now == before, now
            return same and waiting

        wait_until(quiet, seconds)
        return self.parked()

    def expect_parked(self, least=1, seconds=5.0):
        """Parked processes below the script; at least `least` if that is checked at all."""
        if not self.world.warm_check or self.which == REFERENCE:
            return self.settle(0.2)
        found = wait_until(lambda: len(self.parked()) >= least, seconds)
        require(found, f"no {least} parked processes within {seconds} s\n{self.describe()}")
        return self.settle(1.0)

    def meet(self, word, action=None):
        """At `word`: `action(self)`, and on."""
        self.hear(word)
        result = action(self) if action else None
        self.go()
        return result

    def find(self, comm, calls=(), seconds=10.0):
        """Waits for a process below the script called `comm`, in one of the system `calls`."""

        def there():
            for p in processes.living_below(self.pid):
                if p.comm == comm and (not calls or processes.system_call(p.pid) in calls):
                    return p
            return None

        found = wait_until(there, seconds)
        require(found, f"{self.which}: no {comm} started within {seconds} s\n{self.describe()}")
        return found

    def describe(self):
        """What is below us, for a message about something that hangs."""
        mine = [processes.look(self.pid), *processes.descendants(self.pid)]
        return "\n".join(
            f"    {p}, in system call {processes.system_call(p.pid) or '?'}, has "
            f"{' '.join(f'{n}={what}' for n, what in processes.descriptors(p.pid).items())}"
            for p in mine
            if p
        )

    # -- at its end

    def finish(self, seconds=30.0):
        """Waits for the end; the Outcome."""
        seconds *= self.world.patience
        if not ended(self.pid, seconds):
            raise Failed(f"{self.which}: did not end within {seconds} s\n{self.describe()}")
        status = self.process.wait()
        return Outcome(
            status,
            self.normalise(self.terminal.text()) if self.terminal else self._output("stdout"),
            self._output("stderr"),
            self._files(),
            time.monotonic() - self.started,
            self._stats(),
            self._raw("stdout"),
            self._raw("stderr"),
        )

    def _output(self, name):
        return self.normalise(self._raw(name))

    def _raw(self, name):
        return (self.place / name).read_bytes().decode("utf-8", "surrogateescape")

    def normalise(self, text):
        # bash names the process that a signal has ended.
        text = re.sub(r"(line \d+:) +\d+ ", r"\1 PID ", text)
        text = re.sub(r"(?m)^pid \d+$", "pid PID", text)  # a program of our own
        text = re.sub(r"(?m)^ {4,}\d+ ( *[|\w])", r"    PID \1", text)
        return text.replace(str(self.place), "PLACE")

    def _files(self):
        found = {}
        for path in sorted(self.work.rglob("*")):
            if path.is_file() and path.name != "script":
                text = path.read_bytes().decode("utf-8", "surrogateescape")
                found[str(path.relative_to(self.work))] = text.replace(str(self.place), "PLACE")
        return found

    def _stats(self):
        try:
            return json.loads((self.place / "stats").read_text())
        except (OSError, ValueError):
            return {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.said.close()
        self.tell.close()
        processes.kill_below(os.getpid())
        self.process.wait()
        if self.terminal:
            self.terminal.close()


class World:
    """What a case gets: the command under test and a directory of its own."""

    def __init__(self, options, directory):
        self.prewarm = options.prewarm
        self.directory = pathlib.Path(directory)
        self.prewarm_args = options.prewarm_args.split()
        self.launches = options.launches
        self.warm_check = options.warm_check
        self.patience = options.patience  # factor for the time that scripts are given
        self._count = 0

    def fresh_directory(self, name):
        self._count += 1
        path = self.directory / f"{self._count}-{name}"
        path.mkdir()
        return path

    def start(self, which, script, **conditions):
        return Run(self, which, script, Conditions(**conditions))

    def run(self, which, script, seconds=30.0, **conditions):
        with self.start(which, script, **conditions) as run:
            return run.finish(seconds)

    def same(self, script, what="", seconds=30.0, reference_seconds=30.0, **conditions):
        """Requires that both give the same; the Outcome under prewarm."""
        reference = self.run(REFERENCE, script, reference_seconds, **conditions)
        subject = self.run(SUBJECT, script, seconds, **conditions)
        self.require_same(reference, subject, what)
        return subject

    def same_steps(self, script, steps, what="", seconds=30.0, **conditions):
        """The same for a script that meets us: `steps(run)` is called for both."""
        outcomes = []
        for which in (REFERENCE, SUBJECT):
            with self.start(which, script, meets=True, **conditions) as run:
                steps(run)
                outcomes.append(run.finish(seconds))
        self.require_same(*outcomes, what)
        return outcomes[1]

    def require_same(self, reference, subject, what=""):
        lines = differences(reference, subject)
        if lines:
            raise Failed("\n".join([f"{what or 'prewarm'}: not as under bash", *lines]))

    def require_warm(self, outcome, name, least=1):
        """Guards against a test that proves nothing because nothing was parked."""
        if not self.warm_check:
            return
        seen = outcome.of(name)
        warm = seen["direct"] + seen["brokered"]
        require(warm >= least, f"{name} was launched warm only {warm} times: {seen}")

    def staged_products(self, *leave_out):
        """Path of a prewarm in a directory of its own, with a copy of each product beside it."""
        stage = self.fresh_directory("products")
        source = pathlib.Path(self.prewarm).resolve().parent
        shutil.copy2(self.prewarm, stage / "prewarm")
        for name in {"prewarm.so", "libprewarm-agent.so"} - set(leave_out):
            if (source / name).exists():
                shutil.copy2(source / name, stage / name)
        return str(stage / "prewarm")
