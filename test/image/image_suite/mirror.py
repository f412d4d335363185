# SPDX-License-Identifier: MIT
"""The mirror (test/mirror), which shows all that a process can observe, in the contexts that one
exec can be in."""

import ctypes
import fcntl
import os
import resource
import signal

from image_suite.cases import Case

# What the mirror shows and may differ. Everything here is in docs/differences.md, with the reason.
DIFFERENCES = (
    # Pages of an image bear its name, and those of packed libraries have no other.
    (r"^map\.\d+: \S+\.image\n", ""),
    (r"^map\.\d+: \S+/libmirror_\S+\n", ""),
    (r"^map\.anonymous: .*\n", ""),
    (r"^map\.\d+:", "map:"),
    (r"^library\.seed: \w+$", "library.seed: random"),
)

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_TIMERSLACK, _PR_SET_THP_DISABLE = 1, 29, 41
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_SET_KEEPCAPS = 36, 38, 8
_PR_SET_SECUREBITS, _PR_CAP_AMBIENT = 28, 47
_ADDR_NO_RANDOMIZE = 0x0040000
_SYS_IOPRIO_SET = 251


def _prctl(*arguments):
    padded = [*arguments, 0, 0, 0, 0][:5]
    return lambda: _libc.prctl(*(ctypes.c_ulong(value) for value in padded))


def _limit(which, soft):
    def set_limit():
        resource.setrlimit(which, (soft, resource.getrlimit(which)[1]))
    return set_limit


def _all(*functions):
    def call():
        for function in functions:
            function()
    return call


def _close(*numbers):
    def close():
        for number in numbers:
            os.close(number)
    return close


def _open_more():
    for number in (5, 9, 63, 200):
        fd = os.open("/etc/passwd", os.O_RDONLY)
        os.lseek(fd, number, os.SEEK_SET)
        os.dup2(fd, number, inheritable=True)
        if fd not in (5, 9, 63, 200):
            os.close(fd)
    os.dup2(9, 10, inheritable=False)
    fcntl.fcntl(200, fcntl.F_SETFL, fcntl.fcntl(200, fcntl.F_GETFL) | os.O_NONBLOCK)


def _ignore_signals():
    for number in (signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1, signal.SIGRTMIN + 2):
        signal.signal(number, signal.SIG_IGN)


def _block_signals():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGTERM, signal.SIGRTMAX})


def _leave_pending():
    _block_signals()
    os.kill(os.getpid(), signal.SIGUSR2)
    os.kill(os.getpid(), signal.SIGRTMAX)


def _all_small_limits():
    for which, value in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 77),
                         (resource.RLIMIT_FSIZE, 1 << 30), (resource.RLIMIT_MEMLOCK, 4096),
                         (resource.RLIMIT_CPU, 1000), (resource.RLIMIT_DATA, 1 << 31),
                         (resource.RLIMIT_AS, 1 << 36), (resource.RLIMIT_SIGPENDING, 99)):
        _limit(which, value)()


def _be_somebody_else():
    os.setgroups([7, 20])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)


def _delete_directory():
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir("../gone")


def _schedule():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.nice(3)
    _libc.syscall(_SYS_IOPRIO_SET, 1, 0, (2 << 13) | 6)


def _write(path, text):
    def write():
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    return write


_CONTEXTS = [
    ("plain", None),
    ("umask", lambda: os.umask(0o137)),
    ("no-stdin", _close(0)),
    ("no-stdout", _close(1)),
    ("no-streams", _close(0, 1, 2)),
    ("more-descriptors", _open_more),
    ("ignored", _ignore_signals),
    ("blocked", _block_signals),
    ("pending", _leave_pending),
    ("limits", _all_small_limits),
    ("scheduling", _schedule),
    ("directory-gone", _delete_directory),
    ("timer", lambda: signal.setitimer(signal.ITIMER_REAL, 3600, 5)),
    ("death-signal", _prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)),
    ("timer-slack", _prctl(_PR_SET_TIMERSLACK, 12345)),
    ("small-pages", _prctl(_PR_SET_THP_DISABLE, 1)),
    ("subreaper", _prctl(_PR_SET_CHILD_SUBREAPER, 1)),
    ("no-new-privileges", _prctl(_PR_SET_NO_NEW_PRIVS, 1)),
    ("secure-bits", _prctl(_PR_SET_SECUREBITS, 0x2A)),
    ("keep-capabilities", _prctl(_PR_SET_KEEPCAPS, 1)),
    ("not-random", lambda: _libc.personality(_ADDR_NO_RANDOMIZE)),
    ("score", _write("/proc/self/oom_score_adj", "500")),
    ("dump-filter", _write("/proc/self/coredump_filter", "0x13")),
    ("somebody-else", _be_somebody_else),
    ("new-group", lambda: os.setpgid(0, 0) if os.getpid() != os.getsid(0) else None),
    ("other-host", lambda: _libc.unshare(0x04000000)),
]
_SMOKE = ("plain", "no-streams", "pending", "limits", "somebody-else")


def cases(mirror):
    """`mirror`: the directory that it was built in."""
    options = ["--output", "%D%/report", "--maps", "--child"]
    found = []
    for name, prepare in _CONTEXTS:
        found.append(Case(f"mirror-{name}", [f"{mirror}/mirror", *options], prepare=prepare,
                          is_long=name not in _SMOKE, is_unprivileged=name == "somebody-else"))
    words = ["", "a b", "\t", "--", "-x", "\u00e9", "x" * 100000]
    found.append(Case("mirror-arguments", [f"{mirror}/mirror", *options, *words]))
    found.append(Case("mirror-no-options", [f"{mirror}/mirror"], is_long=True))
    found.append(Case("mirror-environment", [f"{mirror}/mirror", *options],
                      environment={f"NAME_{i}": "value" * i for i in range(300)}))
    found.append(Case("mirror-locale", [f"{mirror}/mirror", *options],
                      environment={"LC_ALL": "C", "TZ": "Asia/Tokyo", "POSIXLY_CORRECT": "1"}))
    found.append(Case("mirror-status", [f"{mirror}/mirror", *options, "--exit", "77", "--say",
                                        "words", "--read", "5"], stdin=b"some input"))
    found.append(Case("mirror-signal", [f"{mirror}/mirror", *options, "--signal", "15"], dies=True))
    for kind in ("atfork", "thread", "getenv", "openfd", "choice", "constructor"):
        more = ["--constructor"] if kind == "constructor" else []
        found.append(Case(f"mirror-{kind}", [f"{mirror}/mirror-{kind}", *options, *more],
                          is_long=kind not in ("thread", "constructor")))
    for case in found:
        case.ignore = DIFFERENCES
    return found
