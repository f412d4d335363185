# SPDX-License-Identifier: MIT
"""Shows that a comparison can fail: each fault that is put into a run has to be noticed."""

import os
import resource
import signal

from image_suite import cases, launch

_FAULTS = {
    "environment": None,
    "descriptor": lambda: os.dup2(2, 17, inheritable=True),
    "umask": lambda: os.umask(0o077),
    "signal": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    "limit": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
}


def run(bench, mirror):
    """The number of faults that nobody has noticed."""
    case = cases.Case("fault", [f"{mirror}/mirror", "--output", "%D%/report"])
    plain = bench.run(case, True)
    unnoticed = [] if not cases.differences(case, plain, bench.run(case, True)) else ["none"]
    for name, fault in _FAULTS.items():
        environment = {"LD_AUDIT": ""} if fault is None else {}
        faulty = cases.Case("fault", case.command, prepare=fault, environment=environment)
        if not cases.differences(case, plain, bench.run(faulty, True)):
            unnoticed.append(name)
    for way in launch.ways((False,)):
        # A plain start isn't one from an image, nor is one way the other.
        if not cases.started_wrongly(case, way, plain):
            unnoticed.append(f"{way.name}: no image")
        other = launch.Way(not way.is_direct, False)
        if launch.can_start_directly() and not cases.started_wrongly(
                case, other, bench.run(case, way)):
            unnoticed.append(f"{way.name}: not {other.name}")
        if cases.started_wrongly(case, way, bench.run(case, way)):
            unnoticed.append(f"{way.name}: thought to be another")
    for name in unnoticed:
        print(f"{name}: nobody has noticed")
    return len(unnoticed)
