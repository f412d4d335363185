# SPDX-License-Identifier: MIT
"""The owner: started by whoever needs it, killed, ended; its directory and its limits."""

import os
import signal
import subprocess

from coproc_harness.raw import RawClient
from coproc_harness.world import case
from faults_harness.cases import need, require


@case()
def fifty_start_one(world):
    calls = [world.start(world.tool, "out", str(i), options=["--no-batch"]) for i in range(50)]
    results = [world.result(process) for process in calls]
    require([r.out for r in results] == [str(i) for i in range(50)], f"{results}")
    require(all(r.status == 0 for r in results), f"{results}")
    require(world.list()["served"] == 50, f"{world.list()}")


@case()
def killed(world):
    """Whether what ran has come to its end isn't known, and is not run again."""
    process = world.start(world.tool, "pause")
    world.ready(process)
    worker, owner = world.workers()[0]["pid"], world.owner()
    os.kill(owner, signal.SIGKILL)
    result = world.result(process, None)
    expected = (
        f"prewarm: call: lost the owner of the pools while {world.tool} ran; whether it came to "
        "its end isn't known (read an answer: Broken pipe)\n"
    )
    require((result.status, result.out, result.err) == (125, "", expected), f"{result}")
    world.gone(worker)
    require(world.socket.exists(), "the dead owner's socket")
    world.expect(world.tool, "out", "x", options=["--no-batch"], out="x")
    require(world.owner() != owner, "the same owner")


@case()
def terminated(world):
    """SIGTERM ends what runs, and then the owner, also while somebody is connected."""
    process = world.start(world.tool, "pause")
    world.ready(process)
    owner = world.owner()
    with RawClient(world.socket):
        os.kill(owner, signal.SIGTERM)
        require(process.wait(30) == -signal.SIGTERM, f"{process.returncode}")
        world.gone(owner)
    require(not world.socket.exists(), "its socket is left")


@case()
def stopped_while_it_works(world):
    """What runs ends first; who comes meanwhile gets a new owner."""
    process = world.start(world.tool, "pause")
    world.ready(process)
    owner = world.owner()
    world.pool("stop")
    world.expect(world.tool, "out", "x", options=["--no-batch"], out="x")
    require(world.owner() != owner, "the same owner")
    require(world.result(process).status == 0, "what ran")
    world.gone(owner)


@case()
def ends_when_idle(world):
    """And whoever comes just then is served."""
    world.declare("[limits]\nidle-seconds = 0\n")
    world.declare_command(world.tool, idle_seconds=0)
    for _ in range(100):
        world.expect(world.tool, "out", "x", options=["--no-batch"], out="x")
    calls = [world.start(world.tool, "out", "x", options=["--no-batch"]) for _ in range(20)]
    results = [world.result(process) for process in calls]
    require(all((r.status, r.out) == (0, "x") for r in results), f"{results}")


@case()
def few_descriptors(world):
    """The owner has few: some run as batch processes, all run, and it comes to rest."""
    count = world.directory / "count"
    script = f"ulimit -n 24; exec {world.prewarm} pool serve --background"
    subprocess.run(["sh", "-c", script], env=world.env, check=True)
    calls = [world.start(world.tool, "count", count, str(i)) for i in range(40)]
    results = [world.result(process) for process in calls]
    require(all(r.status == 0 for r in results), f"{results}")
    require(sorted(map(int, count.read_text().split())) == list(range(40)), "not each once")
    world.expect(world.tool, "out", "x", options=["--no-batch"], out="x")


@case()
def unusable_directory(world):
    world.runtime.mkdir()
    world.runtime.chmod(0o755)
    result = world.call(world.tool, "out", "x", options=["--explain"])
    require((result.status, result.out) == (0, "x"), f"{result}")
    require("it must be this user's, with mode 0700" in result.err, f"{result}")
    world.runtime.chmod(0o700)


@case()
def another_users_directory(world):
    need(os.geteuid() == 0, "root is needed to give a directory away")
    world.runtime.mkdir(mode=0o700)
    os.chown(world.runtime, 65534, 65534)
    result = world.call(world.tool, "out", "x", options=["--explain"])
    require((result.status, result.out) == (0, "x"), f"{result}")
    require("it must be this user's, with mode 0700" in result.err, f"{result}")
    os.chown(world.runtime, 0, 0)


@case()
def directory_that_cannot_be_made(world):
    env = {"PREWARM_RUNTIME_DIR": "/proc/prewarm"}
    result = world.call(world.tool, "out", "x", options=["--explain"], env=env)
    require((result.status, result.out) == (0, "x"), f"{result}")
    require("batch process: make the runtime directory /proc/prewarm" in result.err, f"{result}")
