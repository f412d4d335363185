# SPDX-License-Identifier: MIT
"""The ways in which a program is started, and one run of it."""

import ctypes
import dataclasses
import os
import pathlib
import signal
import stat
import subprocess

from image_suite import witness

TIMEOUT_S = 300
_PR_CAPBSET_DROP = 24
_NAMING_CAPABILITIES = (21, 40)  # CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE
_libc = ctypes.CDLL(None, use_errno=True)


@dataclasses.dataclass(frozen=True)
class Way:
    """`is_direct`: by the command itself, without an exec of the program. Otherwise by an auditor:
    without the capabilities that it takes to say which program a process is."""

    is_direct: bool
    is_packed: bool

    @property
    def name(self):
        return ("direct" if self.is_direct else "auditor") + ("-packed" if self.is_packed else "")


def drop_capabilities():
    """In a child: from the next exec on a program has no capability to name itself another."""
    for capability in _NAMING_CAPABILITIES:
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def can_start_directly():
    return os.geteuid() == 0


def ways(packings=(False, True)):
    return [Way(is_direct, is_packed) for is_direct in (True, False) for is_packed in packings
            if not is_direct or can_start_directly()]


@dataclasses.dataclass
class Outcome:
    """What a run has left."""

    status: object  # a number, negative for a signal; or "timeout"
    output: bytes
    errors: bytes
    files: dict
    looks: list  # at the process that was started, see witness.Look

    @property
    def image(self):
        """The last look at it while it had an image, or None."""
        found = [look for look in self.looks if look.is_image]
        return found[-1] if found else None

    @property
    def execs_before_image(self):
        """How many programs it had executed before it had an image: 1 if it started directly, 2
        with an auditor; None if it never had one."""
        for number, look in enumerate(self.looks):
            if look.is_image:
                return number
        return None


class Images:
    """Builds each image once. `directory` must be readable for whoever runs programs."""

    def __init__(self, prewarm, directory):
        self.prewarm = str(pathlib.Path(prewarm).resolve())
        self._directory = pathlib.Path(directory)
        self._built = {}

    def of(self, program, is_packed, stack_limit=None):
        """The path of an image, or None if the program can't have one; then `why` says why."""
        key = (str(program), is_packed, stack_limit)
        if key not in self._built:
            self._built[key] = self._build(*key)
        return self._built[key][0]

    def why(self, program, is_packed, stack_limit=None):
        return self._built[(str(program), is_packed, stack_limit)][1]

    def _build(self, program, is_packed, stack_limit):
        path = self._directory / f"{len(self._built)}.image"
        limit = [] if stack_limit is None else ["prlimit", f"--stack={stack_limit}"]
        done = subprocess.run(
            [*limit, self.prewarm, "image", "build", "--output", str(path),
             "--pack" if is_packed else "--no-pack", program],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False)
        if done.returncode != 0:
            path.unlink(missing_ok=True)
            return None, done.stdout.strip()
        path.chmod(0o644)
        return path, done.stdout.strip()

    def forget(self, program):
        for key in [key for key in self._built if key[0] == str(program)]:
            del self._built[key]

    def command(self, way, command, stack_limit=None):
        """The command line that starts `command` in that way, or None without an image."""
        image = self.of(command[0], way.is_packed, stack_limit)
        if image is None:
            return None
        return [self.prewarm, "exec", "--image", str(image), "--", *command]


def tree(directory):
    """Each file below with its kind, mode and contents."""
    found = {}
    for path in sorted(pathlib.Path(directory).rglob("*")):
        s = path.lstat()
        contents = None
        if stat.S_ISLNK(s.st_mode):
            contents = os.readlink(path)
        elif stat.S_ISREG(s.st_mode):
            contents = path.read_bytes()
        found[str(path.relative_to(directory))] = (oct(s.st_mode), contents)
    return found


def run(command, *, directory, is_direct=True, environment=None, stdin=b"", prepare=None,
        timeout=TIMEOUT_S):
    """Runs it to its end, without the capabilities if it must not start directly; `prepare` is
    called in the child last."""
    seen = witness.Witness()

    def first():
        seen.install()
        if not is_direct:
            drop_capabilities()
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        if prepare is not None:
            prepare()

    try:
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=first, close_fds=False,
            start_new_session=True)
    except BaseException:
        seen.close()
        raise
    try:
        output, errors = process.communicate(stdin, timeout)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        status = "timeout"
    seen.close()
    return Outcome(status, output, errors, tree(directory), seen.looks(process.pid))
