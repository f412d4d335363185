# SPDX-License-Identifier: MIT
"""The register of checks. A check is a function; its name and its first line are what users see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable


class Skip(Exception):
    """The check does not concern what is under test; says why."""


@dataclass(frozen=True)
class Check:
    name: str
    says: str
    role: str  # worker or client
    transports: tuple[str, ...]
    function: Callable[[Any], None]


CHECKS: list[Check] = []


def check(role: str, *transports: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        name = function.__name__.replace("_", "-")
        says = (function.__doc__ or "").strip().partition("\n")[0]
        CHECKS.append(Check(name, says, role, transports or ("capers", "fcli"), function))
        return function
    return register
