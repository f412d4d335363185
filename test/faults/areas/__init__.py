# SPDX-License-Identifier: MIT
"""One module for each area of faults; importing it registers its cases."""

import importlib

NAMES = (
    "exactly_once",
    "limits",
    "parts",
    "replaced",
    "kinds",
    "cleanup",
    "terminal",
    "signals",
    "concurrency",
)


def load():
    for name in NAMES:
        importlib.import_module(f"areas.{name}")
