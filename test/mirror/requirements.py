# SPDX-License-Identifier: MIT
"""What a context may need of the machine, each as a function that says what is missing (a short
sentence) or nothing. Contexts whose needs aren't met are counted and named as skipped."""

import functools
import os
import pathlib
import select
import shutil
import subprocess
import time

import callers

# An id that no other process runs under, so that per-user limits count this test's processes only.
_lone_user = 54321
as_lone_user = ["setpriv", f"--reuid={_lone_user}", f"--regid={_lone_user}", "--clear-groups"]


def _succeeds(*command):
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, check=False)
    return run.returncode == 0


def root(_bench):
    return None if os.geteuid() == 0 else "must be root"


def other_user(bench):
    """Root, and the command and programs reachable for another user."""
    if root(bench):
        return root(bench)
    for path in (bench.prewarm, bench.programs / "mirror"):
        if not _succeeds(*as_lone_user, "test", "-x", str(path)):
            return f"another user can't reach {path}"
    return None


def mounts(_bench):
    return None if _succeeds("unshare", "-m", "true") else "can't make a mount namespace"


def other_namespaces(_bench):
    return None if _succeeds("unshare", "-niu", "true") else "can't make namespaces"


def user_namespaces(_bench):
    return None if _succeeds("unshare", "-r", "true") else "can't make a user namespace"


def address_randomisation(_bench):
    return None if _succeeds("setarch", "-R", "true") else "can't set the personality"


def two_processors(_bench):
    return None if len(os.sched_getaffinity(0)) > 1 else "needs two processors"


def realtime(_bench):
    return None if _succeeds("chrt", "-r", "1", "true") else "can't use real-time scheduling"


def system_calls(_bench):
    return None if callers.supported() else "numbers of system calls not known here"


def tool(name):
    return lambda _bench: None if shutil.which(name) else f"needs {name}"


@functools.cache
def cgroup_directory():
    """A directory in which a control group can be made that processes can be moved to, or None."""
    for parent in ("pids", "unified", "", "cpu"):
        probe = pathlib.Path("/sys/fs/cgroup") / parent / f"prewarm-mirror-{os.getpid()}"
        try:
            probe.mkdir()
        except OSError:
            continue
        usable = (probe / "cgroup.procs").exists() and _succeeds(
            "sh", "-c", f"echo $$ > {probe}/cgroup.procs")
        probe.rmdir()
        if usable:
            return probe
    return None


def cgroups(_bench):
    return None if cgroup_directory() else "can't make a control group"


def remove_cgroup(context):
    """Undoes what the scripts of contexts that need a control group make. What was parked in it may
    take a moment to see that its owner is gone; a group that stays in use is a failure."""
    if cgroups not in context.needs or not cgroup_directory().exists():
        return
    deadline = time.monotonic() + 5
    while True:
        try:
            cgroup_directory().rmdir()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            select.select([], [], [], 0.01)


def missing(context, bench):
    for need in context.needs:
        reason = need(bench)
        if reason:
            return reason
    return None
