# SPDX-License-Identifier: MIT
"""`prewarm call --each` and `--progress`."""

import os
import signal

from coproc_harness.world import case
from faults_harness.cases import require
from faults_harness.terminals import Terminal


@case()
def statuses(world):
    each = ["--each", "--no-batch"]
    world.expect(
        *(world.tool, "argv", "a"),
        options=[*each, "-j", "1"],
        data=b"1\n2\n3",
        out="a\x001\0a\x002\0a\x003\0",
    )
    world.expect(world.tool, "exit", options=each, data=b"0\n0\n", status=0)
    world.expect(world.tool, "exit", options=each, data=b"0\n1\n0\n", status=123)
    world.expect(world.tool, "exit", options=each, data=b"")
    world.expect(world.tool, "argv", options=[*each, "-0"], data=b"a\nb\0", out="a\nb\0")
    directory = os.open("/", os.O_RDONLY)
    result = world.result(world.start(world.tool, "exit", options=each, stdin=directory), None)
    expected = "prewarm: call: can't read standard input: Is a directory\n"
    require((result.status, result.err) == (125, expected), f"{result}")


@case()
def batch(world):
    world.expect("/bin/echo", options=["--each", "-j", "1"], data=b"x\ny\n", out="x\ny\n")
    world.expect("/bin/sleep", options=["--each", "--timeout", "0.3"], data=b"100\n", status=123,
                 err="prewarm: call: 100: its time was over\n")


@case()
def several_at_a_time(world):
    process = world.start(world.tool, "catch-int", options=["--each", "-j", "3", "--pool", "3"])
    process.stdin.write(b"1\n2\n3\n4\n")
    process.stdin.close()
    require(process.wait(30) == 0, f"{process.returncode}")
    require(process.stdout.read() == b"ready\n" * 4, "output")


@case()
def interrupted(world):
    tool = world.bad_worker("hang")
    process = world.start(tool, options=["--each", "-j", "2", "--no-batch"])
    process.stdin.write(b"1\n2\n3\n")
    process.stdin.flush()
    world.wait("two run", lambda: world.notes(tool).count("run") == 2)
    process.send_signal(signal.SIGTERM)
    require(process.wait(30) == 128 + signal.SIGTERM, f"{process.returncode}")
    require(world.notes(tool).count("run") == 2, "more was begun")


@case()
def progress(world):
    world.expect(world.tool, "exit", options=["--progress"], data=b"0\n0\n")
    terminal = Terminal()
    process = world.start(world.tool, "exit", options=["--progress"], stderr=terminal.slave)
    process.stdin.write(b"0\n0\n1\n")
    process.stdin.close()
    require(process.wait(30) == 123, f"{process.returncode}")
    terminal.expect("3 of 3 done, ")
    terminal.expect("/s, 1 failed")
    terminal.close()
