# SPDX-License-Identifier: MIT
"""What /proc says about processes. A process that is gone is None or an empty answer."""

import contextlib
import ctypes
import dataclasses
import os
import signal

PARKED = "prewarm-parked"
PR_SET_CHILD_SUBREAPER = 36
# x86-64, aarch64
SLEEPING = {"230", "35", "115", "101"}
READING = {"0", "63"}
RECEIVING = {"47", "212"}


@dataclasses.dataclass(frozen=True)
class Process:
    pid: int
    comm: str
    state: str
    parent: int
    group: int
    session: int
    foreground: int

    def __str__(self):
        return f"{self.pid} {self.comm!r} (state {self.state}, parent {self.parent}, " + (
            f"{' '.join(cmdline(self.pid)) or 'no command line'})"
        )


def _read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def look(pid):
    """The process `pid`, or None."""
    text = _read(pid, "stat")
    if not text:
        return None
    comm = text[text.index("(") + 1 : text.rindex(")")]
    rest = text[text.rindex(")") + 2 :].split()
    parent, group, session, _, foreground = map(int, rest[1:6])
    return Process(pid, comm, rest[0], parent, group, session, foreground)


def cmdline(pid):
    return [word for word in _read(pid, "cmdline").split("\0") if word]


def system_call(pid, arguments=0):
    """Number of the call that a sleeping or stopped process is in, as text ("" if unknown).

    With `arguments`: a list of it and so many arguments, in hexadecimal.
    """
    words = _read(pid, "syscall").split() or [""]
    return words[: 1 + arguments] if arguments else words[0]


def descriptors(pid):
    """Number -> what it is, of the open descriptors."""
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return found


def executable(pid):
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe")
    return ""


def working_directory(pid):
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/cwd")
    return ""


def everybody():
    found = (look(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process]


def children(pid):
    return [int(word) for word in _read(pid, f"task/{pid}/children").split()]


def descendants(pid):
    """Processes below `pid`, parents first."""
    found = []
    todo = children(pid)
    while todo:
        process = look(todo.pop(0))
        if process:
            found.append(process)
            todo += children(process.pid)
    return found


def living_below(pid):
    return [process for process in descendants(pid) if process.state not in "ZX"]


def parked_below(pid):
    return [process for process in living_below(pid) if process.comm == PARKED]


def is_zygote(pid):
    """A zygote keeps an end of every slot's socket, a clone only its own."""
    return len(descriptors(pid)) > 1


def send(pid, number):
    """Signal to a pid that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_below(pid):
    """End what is left below `pid`: each by its own pid, until nothing is left."""
    left = living_below(pid)
    for _ in range(20):
        for process in left:
            send(process.pid, signal.SIGKILL)
        reap()
        left = living_below(pid)
        if not left:
            return


def reap():
    """Collect ended children; those that were orphaned are ours, too (see adopt_orphans)."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def adopt_orphans():
    """Descendants that lose their parent become children of this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "can't become the reaper of orphans")


def be_parent_bound():
    """In a new process: end when the thread that started it ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
