# SPDX-License-Identifier: MIT
"""Waiting for what nobody tells."""

import time


def wait_until(condition, what, seconds):
    """Looks again and again."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("not within the bound: " + what)
        time.sleep(0.005)
