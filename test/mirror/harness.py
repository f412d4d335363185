# SPDX-License-Identifier: MIT
"""Runs one context: a script with calls of the mirror, once by plain bash and once by the command
under test, in the same directory under the same name, and collects what the calls reported."""

import dataclasses
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import termios
import time

import requirements

timeout_seconds = 60


@dataclasses.dataclass
class Context:
    """One way to be called. In the script, {{mirror NAME OPTIONS}} is a call of the mirror whose
    report goes to NAME; %D% is the run's own directory and %BIN% the one with the programs."""

    name: str
    script: str
    kind: str = "direct"  # how a warm launch may be made here: direct, brokered, or cold (not warm)
    # At least one launch must be warm, so that the context can't pass because nothing is warm. By
    # default so unless kind is cold; off where the launcher may rightly leave all calls to bash.
    expect_warm: bool = None
    wrapper: list = dataclasses.field(default_factory=list)  # a command that runs the shell
    callers: list = dataclasses.field(default_factory=list)  # see callers.py
    environment: dict = dataclasses.field(default_factory=dict)  # additions; None removes
    clean_environment: bool = False
    stdin: object = None  # None: /dev/null; bytes: a pipe with these; "script": the script itself
    arguments: list = dataclasses.field(default_factory=list)
    terminal: bool = False
    inline: bool = False  # run with -c
    own_programs: bool = False  # the script changes the programs' directory: give it a copy
    needs: list = dataclasses.field(default_factory=list)  # see requirements.py
    distinct: list = dataclasses.field(default_factory=list)  # keys that differ in every launch
    shows: list = dataclasses.field(default_factory=list)  # keys that every report must have
    ignore: list = dataclasses.field(default_factory=list)  # keys not comparable even cold to cold

    def __post_init__(self):
        if self.expect_warm is None:
            self.expect_warm = self.kind != "cold"


@dataclasses.dataclass
class Result:
    reports: dict  # name: bytes
    stdout: bytes
    stderr: bytes
    status: object  # a number, or "timeout"
    stats: object = None  # prewarm's own, if it wrote any


class Bench:
    """The directories of a test run, the programs in them, and the command under test."""

    def __init__(self, root, mirror_directory, prewarm, linger_ms, want_stats):
        self.root = pathlib.Path(root)
        self.prewarm = prewarm
        self.linger_ms = linger_ms
        self.want_stats = want_stats
        self.programs = self.root / "bin"
        self.stats_file = self.root / "stats.json"
        self._install(pathlib.Path(mirror_directory))
        for shared in ("cache", "home"):
            (self.root / shared).mkdir()
            (self.root / shared).chmod(0o1777)
        self.root.chmod(0o755)

    def _install(self, source):
        self.programs.mkdir()
        for program in source.glob("mirror*"):
            if program.is_file():
                shutil.copy2(program, self.programs)
        shutil.copytree(source / "lib", self.programs / "lib")
        for name in ("mirror-one", "mirror-two"):
            shutil.copy2(self.programs / "mirror", self.programs / name)
        (self.programs / "mirror-link").symlink_to("mirror")
        other = self.root / "other-bin"
        other.mkdir()
        shutil.copy2(self.programs / "mirror-v2", other / "mirror")

    def environment(self, context, programs):
        path = f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        base = {
            "PATH": path, "HOME": str(self.root / "home"), "LANG": "C.UTF-8", "USER": "mirror",
            "TERM": "dumb", "XDG_CACHE_HOME": str(self.root / "cache"),
        }
        if context.clean_environment:
            base = {"PATH": path}
        base["PREWARM_PARK_DIRS"] = f"{programs}:{self.root}/other-bin"
        directory = str(self.root / context.name)
        for name, value in context.environment.items():
            base.pop(name, None)
            if value is not None:
                base[name] = expanded(value, directory, str(programs))
        return base

    def run(self, context, warm):
        directory = self._fresh_directory(context)
        programs = self.programs
        if context.own_programs:
            programs = directory / "bin"
            shutil.copytree(self.programs, programs, symlinks=True)
        script = self._script(context, directory, programs)
        with open(directory / "script", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(script)
        # There for whoever the context runs as.
        self.stats_file.write_text("")
        self.stats_file.chmod(0o666)
        runner = _Runner(context, directory, self.environment(context, programs))
        status = runner.run(self._command(context, directory, script, warm))
        requirements.remove_cgroup(context)
        reports = {p.name: p.read_bytes() for p in sorted((directory / "out").iterdir())}
        return Result(reports, runner.output("stdout"), runner.output("stderr"), status,
                      self._read_stats() if warm else None)

    def _fresh_directory(self, context):
        """The same path for every run, open to all users because some contexts change the user."""
        directory = self.root / context.name
        remove_tree(directory)
        for path in (directory, directory / "out", directory / "tmp"):
            path.mkdir()
            path.chmod(0o1777)
        (directory / "input").write_text("first\nsecond\nthird\nfourth\nfifth\n")
        return directory

    def _script(self, context, directory, programs):
        def call(match):
            program, report, options = match.group(1), match.group(2), match.group(3)
            return (f'{program} --shell-pid $$ --linger {self.linger_ms} '
                    f'--output "{directory}/out/{report}"{options}')
        text = re.sub(r"\{\{(\S+) (\S+?)((?: .*?)?)\}\}", call, context.script, flags=re.S)
        return expanded(text, str(directory), str(programs)) + "\n"

    def _command(self, context, directory, script, warm):
        wrapper = [expanded(word, str(directory), str(self.programs)) for word in context.wrapper]
        shell = ["bash"]
        if warm:
            shell = [self.prewarm, "run"]
            shell += ["--stats-json", str(self.stats_file)] if self.want_stats else []
        if context.inline:
            what = ["-c", script]
        else:
            what = [] if context.stdin == "script" else [str(directory / "script")]
        return wrapper + shell + what + context.arguments

    def _read_stats(self):
        try:
            return json.loads(self.stats_file.read_text())
        except (OSError, ValueError):
            return None


def expanded(text, directory, programs):
    text = text.replace("%D%", directory).replace("%BIN%", programs)
    if "%CGROUP%" in text:
        text = text.replace("%CGROUP%", str(requirements.cgroup_directory()))
    return text


def remove_tree(path):
    if path.is_dir():
        for found in path.rglob("*"):
            if found.is_dir() and not found.is_symlink():
                found.chmod(0o755)
        shutil.rmtree(path)


class _Runner:
    """One run of a command: its own session, files for its output, a terminal if asked."""

    def __init__(self, context, directory, environment):
        self.context = context
        self.directory = directory
        self.environment = environment
        self.terminal_output = b""

    def output(self, name):
        text = (self.directory / name).read_bytes() if (self.directory / name).exists() else b""
        return text + (self.terminal_output if name == "stdout" else b"")

    def run(self, command):
        if self.context.terminal:
            return self._run_on_terminal(command)
        with (open(self.directory / "stdout", "wb") as out,
              open(self.directory / "stderr", "wb") as err):
            return self._run_with(command, self._stdin(), out, err)

    def _stdin(self):
        if self.context.stdin is None:
            return open(os.devnull, "rb")
        if self.context.stdin == "script":
            return open(self.directory / "script", "rb")
        read_end, write_end = os.pipe()
        os.write(write_end, self.context.stdin)
        os.close(write_end)
        return os.fdopen(read_end, "rb")

    def _run_with(self, command, stdin, out, err):
        with stdin:
            process = self._start(command, lambda: None, stdin=stdin, stdout=out, stderr=err)
        try:
            return process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return self._give_up(process)

    def _start(self, command, first, **streams):
        def prepare():
            os.umask(0o022)
            first()
            for caller in self.context.callers:
                caller()
        return subprocess.Popen(command, cwd=self.directory, env=self.environment,
                                start_new_session=True, preexec_fn=prepare, **streams)

    def _run_on_terminal(self, command):
        master, slave = pty.openpty()
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        process = self._start(command, lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                              stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline and self._drain(master):
            pass
        os.close(master)
        if time.monotonic() >= deadline:
            return self._give_up(process)
        return process.wait(timeout_seconds)

    def _drain(self, master):
        """Reads what the terminal shows; false once nobody has it open any more."""
        readable, _, _ = select.select([master], [], [], 1)
        if not readable:
            return True
        try:
            text = os.read(master, 65536)
        except OSError:  # EIO: the last one to have it open has closed it
            return False
        self.terminal_output += text
        return bool(text)

    @staticmethod
    def _give_up(process):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "timeout"
