# SPDX-License-Identifier: MIT
"""Cases: named functions that get a World and raise Failed or Skipped."""

import dataclasses

CASES = {}


class Failed(Exception):
    """What was wrong, for people."""


class Skipped(Exception):
    """Why this machine can't run the case."""


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    area: str
    function: object
    seconds: float  # after which it is ended and counts as failed
    # Why it can't hold, if docs/differences.md says so: then it must fail, so that neither the
    # page nor this mark goes stale.
    known: str


def case(seconds=60.0, name=None, known=""):
    """Registers a function as the case AREA.NAME; the area is its module's name."""

    def register(function):
        area = function.__module__.rsplit(".", 1)[-1]
        full = f"{area}.{name or function.__name__}"
        assert full not in CASES, full
        CASES[full] = Case(full, area, function, seconds, known)
        return function

    return register


def selected(words):
    """Cases whose full name is one of `words`, or begins with AREA given as a word."""
    if not words:
        return list(CASES.values())
    unknown = [w for w in words if not any(_matches(c, w) for c in CASES.values())]
    if unknown:
        raise KeyError(f"no case is called {', '.join(unknown)}; see --list")
    return [c for c in CASES.values() if any(_matches(c, w) for w in words)]


def _matches(item, word):
    return word in (item.name, item.area) or (word.endswith("*") and item.name.startswith(word[:-1]))


def require(condition, reason):
    if not condition:
        raise Failed(reason)


def need(condition, reason):
    if not condition:
        raise Skipped(reason)
