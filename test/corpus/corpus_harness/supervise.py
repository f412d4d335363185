# SPDX-License-Identifier: MIT
"""Run one program to its end and see everything that is left of it.

The caller is a subreaper (become_subreaper), so every process that the program
orphans, even one that made a session of its own, becomes a child of the caller:
nothing can hide from processes_left. Nothing else may be a child of the caller
while run() is at work.
"""

import ctypes
import dataclasses
import os
import resource
import selectors
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36

# After the program's own end: how long its helpers may take to notice, and to
# let go of stdout and stderr. Generous, for machines under load; the normal case
# waits for nothing.
GRACE_S = 5.0

# How many processes a message describes, and how much of their command lines.
_SHOWN = 20
_SHOWN_COMMAND = 200


@dataclasses.dataclass
class Outcome:
    """How a run ended, and what it wrote."""

    pid: int
    wait_status: int  # as waitpid gives it; meaningless when timed_out
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: str = ""  # what the processes were doing when time was up
    held_pipes: bool = False  # stdout or stderr still open after the grace
    processes_left: list = dataclasses.field(default_factory=list)


def prepare_worker():
    """Make this process fit to call run(), and the same on whatever machine and way."""
    become_subreaper()
    forbid_core_dumps()
    os.umask(0o022)
    default_signals()


def default_signals():
    """Let nothing be ignored or blocked from the start in what is run.

    A background job of a script has SIGINT ignored, and so has what it starts: bash
    would then not let the corpus trap it. Ctrl-C is for our parent to act on, so it
    gets a handler here, which unlike SIG_IGN does not outlive an exec.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        # Python itself ignores SIGPIPE and SIGXFSZ; Popen undoes that in the child.
        if number not in (signal.SIGPIPE, signal.SIGXFSZ):
            if signal.getsignal(number) == signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def become_subreaper():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def forbid_core_dumps():
    """Without this, a script's own "Segmentation fault" would leave a core file."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def describe_status(wait_status):
    if os.WIFSIGNALED(wait_status):
        number = os.WTERMSIG(wait_status)
        core = " (core dumped)" if os.WCOREDUMP(wait_status) else ""
        return f"killed by {signal.Signals(number).name}{core}"
    return f"exit {os.WEXITSTATUS(wait_status)}"


def _stat_of(pid):
    """(comm, state, ppid, session) from /proc/PID/stat; None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # comm may hold spaces and parentheses: the last ')' ends it.
    comm = text[text.index(b"(") + 1 : text.rindex(b")")].decode(errors="replace")
    fields = text[text.rindex(b")") + 2 :].split()
    return comm, fields[0].decode(), int(fields[1]), int(fields[3])


def descendants(root_pid):
    """Pids of all living processes below root_pid, zombies left out."""
    children = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        stat = _stat_of(int(name))
        if stat is not None:
            children.setdefault(stat[2], []).append((int(name), stat[1]))
    found, pending = [], [root_pid]
    while pending:
        for pid, state in children.get(pending.pop(), []):
            pending.append(pid)
            if state not in ("Z", "X"):
                found.append(pid)
    return sorted(found)


def _describe_all(pids):
    """One line for each of the first of them: a script gone wild has thousands."""
    shown = [describe_process(pid) for pid in pids[:_SHOWN]]
    if len(pids) > _SHOWN:
        shown.append(f"… and {len(pids) - _SHOWN} more")
    return shown


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError as error:
        return f"<{error.strerror}>"


def describe_process(pid):
    stat = _stat_of(pid)
    if stat is None:
        return f"{pid}: gone meanwhile"
    comm, state, ppid, session = stat
    command = _read(f"/proc/{pid}/cmdline")[:_SHOWN_COMMAND]
    return (
        f"{pid}: {comm}, state {state}, parent {ppid}, session {session},"
        f" waits in {_read(f'/proc/{pid}/wchan')}, command line: {command}"
    )


class _Run:
    """One run's descriptors and deadlines; run() below is the whole of its use."""

    def __init__(self, argv, cwd, env, stdin):
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        self.started = time.monotonic()
        # Pipes, not files: a helper that keeps the caller's pipe open, so that
        # its reader never sees the end, is one of the faults looked for.
        self.process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=out_write,
            stderr=err_write,
            start_new_session=True,
            umask=0o022,
        )
        os.close(out_write)
        os.close(err_write)
        self.status = None
        self.chunks = {out_read: [], err_read: []}
        self.out_read, self.err_read = out_read, err_read
        self.selector = selectors.DefaultSelector()
        self.pidfd = os.pidfd_open(self.process.pid)
        for descriptor in (out_read, err_read, self.pidfd):
            self.selector.register(descriptor, selectors.EVENT_READ)

    def close(self):
        self.selector.close()
        for descriptor in (self.out_read, self.err_read, self.pidfd):
            os.close(descriptor)

    def reap(self):
        """Wait for whatever has ended: the program, and orphans given to us."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.process.pid:
                self.status = status
                self.process.returncode = status  # Popen must not wait again
                self.selector.unregister(self.pidfd)

    def step(self, wait_s):
        for key, _ in self.selector.select(wait_s):
            if key.fd == self.pidfd:
                continue
            data = os.read(key.fd, 65536)
            if data:
                self.chunks[key.fd].append(data)
            else:
                self.selector.unregister(key.fd)
        self.reap()

    def pipes_open(self):
        registered = self.selector.get_map()
        return self.out_read in registered or self.err_read in registered

    def finished(self):
        return self.status is not None and not self.pipes_open()


def _send(number, pids):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def _kill_all():
    """Kill and reap every descendant, however deep or quick they are."""
    for _ in range(100):
        # Stopped first: one that goes on forking could outrun its pursuer.
        _send(signal.SIGSTOP, descendants(os.getpid()))
        _send(signal.SIGKILL, descendants(os.getpid()))
        try:
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def _wait_for_helpers(run, grace_s):
    """Descriptions of the processes that outlive the program and the grace."""
    deadline = time.monotonic() + grace_s
    while True:
        run.reap()
        left = descendants(os.getpid())
        if not left or time.monotonic() > deadline:
            return _describe_all(left)
        time.sleep(0.005)


def run(argv, cwd, env, stdin, timeout_s, grace_s=GRACE_S):
    """Run argv in a session of its own, and return its Outcome.

    env's keys and values are bytes or str; stdin is a file object or a
    descriptor. All that remains of the program is killed before this returns.
    """
    work = _Run(argv, cwd, env, stdin)
    deadline = work.started + timeout_s
    timed_out, ended = "", None
    while not work.finished():
        work.step(0.05)
        now = time.monotonic()
        if work.status is not None and ended is None:
            ended = now
        if ended is not None and now > ended + grace_s:
            break
        if work.status is None and now > deadline:
            timed_out = "\n".join(_describe_all(descendants(os.getpid())))
            break
    seconds = (ended or time.monotonic()) - work.started
    held = work.status is not None and work.pipes_open()
    left = [] if timed_out else _wait_for_helpers(work, grace_s)
    _kill_all()
    outcome = Outcome(
        pid=work.process.pid,
        wait_status=work.status if work.status is not None else 0,
        stdout=b"".join(work.chunks[work.out_read]),
        stderr=b"".join(work.chunks[work.err_read]),
        seconds=seconds,
        timed_out=timed_out,
        held_pipes=held,
        processes_left=left,
    )
    work.process.returncode = 0  # already reaped by us, whatever became of it
    work.close()
    return outcome
