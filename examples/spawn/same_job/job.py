#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The job of docs/spawning.md by Python's subprocess: job.py DIRECTORY LOG <TEXT"""

import ctypes
import os
import resource
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1


def set_up():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


directory, log = sys.argv[1:]
with open(log, "ab") as errors:
    done = subprocess.run(
        ["sort", "-u"],
        input=sys.stdin.buffer.read(),
        stdout=subprocess.PIPE,
        stderr=errors,
        cwd=directory,
        env={**os.environ, "LC_ALL": "C"},
        preexec_fn=set_up,
        timeout=10,
        check=True,
    )
sys.stdout.buffer.write(done.stdout)
