#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cloudcopy does the same as a worker, as a batch process, and without the package prewarm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "../../test/conformance"))

from driver import CapersWorker  # noqa: E402

TOOL = os.path.join(HERE, "cloudcopy", "cloudcopy")
CALLS = [["a.txt", "b.jpg", "//r/d/"], ["--json", "-", "//r/x"], ["a.txt", "//r/d/"],
         ["--list", "//r/"], ["nothing", "//r/"], ["a.txt", "b.jpg", "//r/d"], ["a.txt"],
         ["--help"]]


def batch(tool: str, call: list[str], cwd: str, env: dict[str, str]) -> tuple[int, bytes, bytes]:
    done = subprocess.run([sys.executable, tool, *call], input=b"text", capture_output=True,
                          cwd=cwd, env=env, check=False)
    return done.returncode, done.stdout, done.stderr


def main() -> int:
    bad = 0
    with tempfile.TemporaryDirectory() as directory:
        directory = os.path.realpath(directory)
        alone = shutil.copy(TOOL, os.path.join(directory, "cloudcopy"))
        for name in ("a.txt", "b.jpg"):
            with open(os.path.join(directory, name), "w") as file:
                file.write(name)
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        worker = CapersWorker([sys.executable, TOOL], 60, env=env, cwd="/")
        try:
            worker.negotiate()
            for call in CALLS:
                seen = []
                for way in ("batch", "alone", "worker"):
                    endpoint = "file://%s/store.%s" % (directory, way)
                    if way == "worker":
                        fields = [("cwd", directory.encode()),
                                  ("env", b"CLOUDCOPY_ENDPOINT=" + endpoint.encode())]
                        done = worker.run(*call, stdin=b"text", name=TOOL, fields=fields)
                        seen.append((done.exit, done.out, done.err))
                    else:
                        tool = TOOL if way == "batch" else alone
                        seen.append(batch(tool, call, directory,
                                          {**env, "CLOUDCOPY_ENDPOINT": endpoint}))
                # When it was read is all that may differ: for standard input that is now.
                if "-" in call:
                    seen = [(code, out.partition(b"modified")[0], err) for code, out, err in seen]
                if not seen[0] == seen[1] == seen[2]:
                    bad += 1
                    print("%r: %r" % (call, seen))
        finally:
            worker.close()
    print("%d of %d differ" % (bad, len(CALLS)))
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
