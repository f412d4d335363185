# SPDX-License-Identifier: MIT
"""How many workers there are, which of them serves, and when they are replaced."""

import os
import shutil

from coproc_harness.world import case
from faults_harness.cases import require


def pid_of(world, *options, env=None):
    return int(world.call(world.tool, "pid", options=["--no-batch", *options], env=env).out)


@case()
def bounds(world):
    """No more workers than `--pool` says, nor than all programs together may have."""
    world.declare("[limits]\nworkers = 3\n")
    calls = [world.start(world.tool, "pause", options=["--pool", "2"]) for _ in range(4)]
    world.wait("two wait", lambda: sum(p["waiting"] for p in world.list()["pools"]) == 2)
    require(len(world.workers()) == 2, f"{world.workers()}")
    other = world.directory / "other"
    shutil.copy(world.tool, other)
    more = [world.start(other, "pause") for _ in range(3)]
    world.wait("others wait", lambda: sum(p["waiting"] for p in world.list()["pools"]) == 4)
    require(len(world.workers()) == 3, f"{world.workers()}")
    for process in calls + more:
        process.stdin.close()
    require(all(process.wait(30) == 0 for process in calls + more), "statuses")


@case()
def affinity(world):
    busy = [world.start(world.tool, "pause", options=["--affinity", k]) for k in "ab"]
    for process in busy:
        world.ready(process)
    places = {w["affinity"]: w["pid"] for w in world.workers()}
    require(sorted(places) == ["a", "b"], f"{places}")
    for process in busy:
        require(world.result(process).status == 0, "statuses")
    for key in "abbaabab":
        require(pid_of(world, "--affinity", key) == places[key], f"{key} is served elsewhere")


@case()
def environment_that_matters(world):
    first = pid_of(world)
    require(pid_of(world, env={"NOTHING": "1"}) == first, "NOTHING matters")
    require(pid_of(world, env={"LANG": "x"}) != first, "LANG doesn't matter")
    require(pid_of(world) == first, "the first pool is gone")


@case()
def replaced_program(world):
    tool = world.directory / "tool"
    shutil.copy(world.tool, tool)
    old = world.warm(tool)
    new_file = world.directory / "new"
    shutil.copy(world.tool, new_file)
    os.rename(new_file, tool)
    require(world.warm(tool) != old, "the old program's worker serves")
    world.gone(old)


@case()
def worn_out(world):
    world.declare_command(world.tool, workers=1, requests=3)
    pids = [pid_of(world) for _ in range(6)]
    require(pids[0] == pids[2] != pids[3] == pids[5], f"{pids}")


@case()
def grown(world):
    world.declare_command(world.tool, workers=1, memory_mib=64)
    worker = world.warm()
    world.expect(world.tool, "grow", "16")
    require(world.warm() == worker, "16 MiB are too many")
    world.expect(world.tool, "grow", "100")
    require(world.warm() != worker, "100 MiB are not too many")


@case()
def idle(world):
    world.declare_command(world.tool, idle_seconds=1)
    world.gone(world.warm())


@case()
def stop_one_program(world):
    other = world.directory / "other"
    shutil.copy(world.tool, other)
    kept, stopped = world.warm(), world.warm(other)
    world.pool("stop", str(other))
    world.gone(stopped)
    require(world.warm() == kept, "the other program's worker was stopped")
    require("requests" in world.pool("stats").out, "no statistics")


@case()
def nobody_to_ask(world):
    require(world.pool("list").out == "no pools\n", "list")
    require(world.pool("stop").out == "", "stop")
