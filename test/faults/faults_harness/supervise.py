# SPDX-License-Identifier: MIT
"""Runs one case in a process of its own, so that it is bounded and leaves nothing behind."""

import dataclasses
import os
import pickle
import select
import shutil
import tempfile
import time
import traceback

from . import processes
from .cases import Failed, Skipped
from .runs import World


@dataclasses.dataclass
class Verdict:
    name: str
    word: str  # passed, failed, skipped, or known: it failed as docs/differences.md says
    reason: str
    seconds: float


def judge(case, options, make_world=World):
    """The Verdict on `case`, whose function gets make_world(options, directory)."""
    started = time.monotonic()
    directory = tempfile.mkdtemp(prefix="prewarm-faults-")
    os.chmod(directory, 0o755)  # some runs are another user's
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(receive)
        _in_child(case, make_world(options, directory), send)
    os.close(send)
    word, reason = _answer(receive, case.seconds)
    processes.kill_below(os.getpid())
    if case.known and options.warm_check and word in ("passed", "failed"):
        word, reason = _known(case, word)
    if word != "failed" or not options.keep:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        reason += f"\nits files are in {directory}"
    return Verdict(case.name, word, reason, time.monotonic() - started)


def _known(case, word):
    if word == "failed":
        return "known", case.known
    return "failed", f"a known difference is gone; take it out of docs/differences.md: {case.known}"


def _answer(descriptor, seconds):
    deadline = time.monotonic() + seconds
    data = b""
    with os.fdopen(descriptor, "rb", buffering=0) as pipe:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                return "failed", f"the case did not end within {seconds} s"
            chunk = pipe.read(65536)
            if not chunk:
                break
            data += chunk
    return pickle.loads(data) if data else ("failed", "the case's process ended without a verdict")


def _in_child(case, world, descriptor):
    processes.be_parent_bound()
    processes.adopt_orphans()
    try:
        note = case.function(world)
        answer = ("passed", note or "")
    except Failed as failure:
        answer = ("failed", str(failure))
    except Skipped as skip:
        answer = ("skipped", str(skip))
    except BaseException:
        answer = ("failed", traceback.format_exc())
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(pickle.dumps(answer))
    os._exit(0)
