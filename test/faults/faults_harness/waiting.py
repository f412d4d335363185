# SPDX-License-Identifier: MIT
"""Waiting for something to become true, with a deadline."""

import os
import select
import time

# How often a state that sends no event (a line of /proc) is looked at.
LOOK_EVERY_S = 0.004


def wait_until(condition, seconds):
    """The first true value of `condition()`, or its last value after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() >= deadline:
            return value
        select.select([], [], [], LOOK_EVERY_S)


def ended(pid, seconds):
    """Whether process `pid` has ended, waiting for it; somebody else may reap it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)
