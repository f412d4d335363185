#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sdk/sh/prewarm-sh does what /bin/sh does: output, messages but for the word `eval`, status."""

from __future__ import annotations

import os
import subprocess
import sys

from driver import FcliWorker

SHELL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../sdk/sh/prewarm-sh")

CASES = [
    ["-c", "echo hello; exit 7"],
    ["-c", 'echo "$0" "$@"', "sh", "a b", "c\nd"],
    ["-c", 'echo "$0" "$#"', "another name", "x"],
    ["-c", 'echo "$0" "$#"'],
    ["-ec", "echo a; false; echo b"],
    ["-e", "-c", "if false; then :; fi; (exit 3); echo no"],
    ["-c", "false; echo $?; set -e; false; echo no"],
    ["-uc", "echo ${nothing-is set}; echo $nothing; echo no"],
    ["-xc", "echo traced"],
    ["-fc", "echo /*"],
    ["-eufc", "echo /*"],
    ["-nc", "echo not run"],
    ["-c", "cat; echo $?"],
    ["-c", "no-such-command-at-all; echo $?"],
    ["-c", "if"],
    ["-c", ""],
    ["-c"],
    ["-c", "--", "echo x"],
    ["-c", "trap 'echo bye' EXIT; echo hi"],
    ["-c", "test $$ -gt 1 && echo yes"],
    ["-c", "f() { return 4; }; f; echo $?"],
    ["-c", "cd /usr; pwd; umask 027; X=1; export X; env | grep ^X="],
    ["-c", "echo ${X-unset}; pwd"],
    ["-c", "set -- 1 2; shift; echo $1; IFS=:; v=a:b; echo $v"],
    ["-c", "echo out; echo err >&2; exec 1>&2; echo more"],
    ["-c", "kill -9 $$"],
    ["-c", "cat <<E\nhere $1\nE", "sh", "doc"],
    ["-c", "exec echo replaced"],
    ["-s", "argument"],
    ["/nonexistent/script"],
    [],
]


def normal(err: bytes) -> bytes:
    return err.replace(b"eval: ", b"").replace(b"/bin/sh", b"sh").replace(b"Killed\n", b"")


def main() -> int:
    bad = 0
    worker = FcliWorker([SHELL], 30, cwd="/")
    try:
        worker.negotiate()
        for case in CASES:
            given = b'echo "from stdin $# $1"\n'
            plain = subprocess.run(["sh", *case], input=given, capture_output=True, cwd="/",
                                   check=False)
            # A shell can't tell a subshell that was killed from one that exited so.
            code = plain.returncode if plain.returncode >= 0 else 128 - plain.returncode
            served = worker.run(*case, stdin=given, name="sh")
            expected = (code, plain.stdout, normal(plain.stderr))
            actual = (served.exit, served.out, normal(served.err))
            if actual != expected:
                bad += 1
                print("%r: %r, not %r" % (case, actual, expected))
    finally:
        worker.close()
    print("%d of %d differ" % (bad, len(CASES)))
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
