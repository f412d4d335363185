#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""conform.py notices each of the defects in broken.py, by the check that is for it, and none where
there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import broken

HERE = os.path.dirname(os.path.abspath(__file__))


def failed_checks(defect: str, check: str) -> list[str]:
    role = "client" if defect.startswith("client-") else "worker"
    # A defect may be one that hangs: that is the only thing for which the limit is waited for.
    command = [sys.executable, os.path.join(HERE, "conform.py"), role, "--json", "--only", check,
               "--limit", "2" if defect in ("hangs", "holds-pipes", "leaks-descriptors") else "60",
               "--", sys.executable, os.path.join(HERE, "broken.py"), defect]
    if role == "client":
        command.append("{socket}")
    # Without what would hide that nothing is flushed.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False)
    failed = [result["check"] for result in json.loads(done.stdout) if result["state"] == "failed"]
    if done.returncode != bool(failed):
        sys.exit("%s: exit status %d" % (defect, done.returncode))
    return failed


def main() -> int:
    missed = 0
    for name, (_, check) in broken.DEFECTS.items():
        noticed = failed_checks(name, check) == [check]
        print("%s: %s %s" % (name, "noticed by" if noticed else "MISSED by", check), flush=True)
        missed += not noticed
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
