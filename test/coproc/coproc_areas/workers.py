# SPDX-License-Identifier: MIT
"""Workers that are killed, and workers that misbehave: each request ends as it is said here."""

import os
import signal

from coproc_harness.raw import RawClient
from coproc_harness.world import case, timed
from faults_harness import processes
from faults_harness.cases import require


def protocol_error(tool, what):
    return f"prewarm: call: {tool}: its worker broke the protocol: {what}\n"


def start_failure(tool, what):
    return f"prewarm: call: no worker serves {tool}: no worker of {tool} can be started: {what}\n"


@case()
def killed_before_a_request(world):
    worker = world.warm()
    os.kill(worker, signal.SIGKILL)
    # Whether the owner has seen it or not: another one serves, or it is said that none did.
    world.expect(world.tool, "out", "x", out="x")
    world.wait("the killed worker is gone", lambda: worker not in pids(world))
    world.expect(world.tool, "out", "x", options=["--no-batch"], out="x")


def pids(world):
    return [worker["pid"] for worker in world.workers()]


@case()
def stopped_and_killed_before_it_reads(world):
    """The kernel says that it has not read the request, so that it may be run in another way."""
    worker = world.warm()
    count = world.directory / "count"
    os.kill(worker, signal.SIGSTOP)
    process = world.start(world.tool, "count", count, options=["--explain"])
    world.wait("it is asked", lambda: world.workers()[0]["working-on"] == 1)
    os.kill(worker, signal.SIGKILL)
    result = world.result(process)
    require(result.status == 0 and count.read_text() == "run\n", f"{result}")
    require("batch process: its worker ended before it read the request" in result.err, f"{result}")


@case()
def killed_during_a_request(world):
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
        process = world.start(world.tool, "pause")
        world.ready(process)
        os.kill(world.workers()[0]["pid"], number)
        result = world.result(process, None)
        require((result.status, result.err) == (-number, ""), f"{number}: {result}")
        world.expect(world.tool, "out", "x", options=["--no-batch"], out="x")


@case()
def killed_after_a_request(world):
    for _ in range(10):
        worker = world.warm()
        os.kill(worker, signal.SIGKILL)
        world.gone(worker)
        world.wait("the owner knows", lambda gone=worker: gone not in pids(world))


@case()
def exits_with_a_status(world):
    worker = world.warm()
    world.expect(world.tool, "exit", "7", status=7)
    world.gone(worker)
    world.expect(world.tool, "out-exit", "text", "3", status=3, out="text")
    require(world.warm() != worker, "the same worker again")
    # An exit is no death: they can go on as often as they like.
    for _ in range(8):
        world.expect(world.tool, "quit", "1", status=1, options=["--no-batch"])


@case()
def hangs_at_start(world):
    tool = world.bad_worker("hang-at-start")
    world.declare_command(tool, start_seconds=1)
    world.expect(
        tool,
        status=125,
        options=["--no-batch"],
        err=start_failure(tool, "it did not answer within its time to start"),
    )
    world.expect(tool, "a", out="batch a\n")


@case()
def garbage_at_start(world):
    tool = world.bad_worker("garbage-at-start")
    world.expect(
        tool,
        status=125,
        options=["--no-batch"],
        err=start_failure(tool, "what it wrote is no packet: it has no length"),
    )
    world.expect(tool, "a", out="batch a\n")


@case()
def dies_at_start(world):
    """Three times; then nobody tries for a while, and that is said at once."""
    tool = world.bad_worker("die-at-start")
    failure = "it exited with 3 before it was ready; it said: no such library\n"
    for _ in range(3):
        world.expect(tool, status=125, options=["--no-batch"], err=start_failure(tool, failure))
    world.expect(
        tool,
        status=125,
        options=["--no-batch"],
        err=f"prewarm: call: no worker serves {tool}: workers of {tool} keep dying: {failure}\n",
    )
    require(world.notes(tool).count("start") == 3, f"{world.notes(tool)}")
    pool = world.list()["pools"][0]
    require((pool["deaths"], pool["started"]) == (3, 3), f"{pool}")
    world.expect(tool, "a", out="batch a\n")
    # And after it, they do again.
    world.wait(
        "the pause ends",
        lambda: world.call(tool, options=["--no-batch"]) and world.notes(tool).count("start") > 4,
    )


@case()
def dies_at_start_twice(world):
    tool = world.bad_worker("die-twice")
    for _ in range(2):
        world.expect(tool, "a", out="batch a\n")
        os.truncate(f"{tool}.notes", 6 * (world.notes(tool).count("start") - 1))
    world.expect(tool, options=["--no-batch"])


@case()
def other_version(world):
    tool = world.bad_worker("other-version")
    world.expect(
        tool,
        status=125,
        options=["--no-batch"],
        err=start_failure(tool, "it refuses: only version 9"),
    )


@case()
def dies_after_greeting(world):
    """It would be started again and again, if that were not counted."""
    tool = world.bad_worker("die-after-greeting")
    result = world.call(tool, "a", options=["--explain"])
    require((result.status, result.out) == (0, "batch a\n"), f"{result}")
    starts = world.notes(tool).count("start")
    require(1 < starts <= 5, f"{starts} starts")


@case()
def garbage(world):
    tool = world.bad_worker("garbage")
    what = "what it wrote is no packet: it has no length"
    world.expect(tool, status=125, err=protocol_error(tool, what))
    require(world.notes(tool) == ["start", "run"], f"{world.notes(tool)}")


@case()
def too_long(world):
    tool = world.bad_worker("too-long")
    what = "what it wrote is no packet: its length is not one, or is too large"
    world.expect(tool, status=125, err=protocol_error(tool, what))


@case()
def two_answers(world):
    """The first counts; the worker is not kept."""
    tool = world.bad_worker("two-answers")
    world.expect(tool, status=4)
    world.wait("it is killed", lambda: not world.workers())
    require(world.list()["pools"][0]["deaths"] == 1, f"{world.list()}")


@case()
def wrong_id(world):
    tool = world.bad_worker("wrong-id")
    what = "nothing was asked, or it was answered before"
    world.expect(tool, status=125, err=protocol_error(tool, what))


@case()
def part_of_an_answer(world):
    tool = world.bad_worker("part-of-answer")
    world.expect(tool, status=125, err=protocol_error(tool, "it ends too early"))


@case()
def bad_status(world):
    tool = world.bad_worker("bad-status")
    what = "a status without exactly one of exit (0 to 255) and signal (1 to 64)"
    world.expect(tool, status=125, err=protocol_error(tool, what))


@case()
def closes_its_socket(world):
    tool = world.bad_worker("close-socket")
    what = "it closed its connection and did not end"
    world.expect(tool, status=125, err=protocol_error(tool, what))
    require(world.notes(tool) == ["start", "run"], f"{world.notes(tool)}")


@case()
def closes_all_and_ends(world):
    """As programs do that become daemons: its end is the answer."""
    process = world.start(world.tool, "close-all")
    world.ready(process)
    result = world.result(process)
    require((result.status, result.err) == (0, "") or result.status == 1, f"{result}")


@case()
def hangs(world):
    tool = world.bad_worker("hang")
    world.expect(
        tool,
        status=124,
        options=["--timeout", "0.5"],
        err=f"prewarm: call: {tool}: its time was over\n",
    )
    require(world.notes(tool) == ["start", "run"], f"{world.notes(tool)}")


@case()
def ignores_term(world):
    tool = world.bad_worker("ignore-term")
    world.expect(
        tool,
        status=124,
        options=["--timeout", "0.5"],
        err=f"prewarm: call: {tool}: its time was over\n",
    )
    process = world.start(world.tool, "ignore-term", options=["--timeout", "0.5"])
    world.ready(process)
    require(process.wait(30) == 124, f"{process.returncode}")


@case()
def stops_reading(world):
    """A request larger than a socket holds; the worker goes with it half read."""
    tool = world.bad_worker("stop-reading")
    large = ["x" * 100000] * 6
    result = world.call(tool, *large)
    done = result.status == 0 and result.out.startswith("batch xxx")
    require(done, f"{result.status} {result.err}")
    hanging = world.bad_worker("hang-without-reading")
    world.expect(
        hanging,
        *large,
        status=124,
        options=["--timeout", "0.5"],
        err=f"prewarm: call: {hanging}: its time was over\n",
    )


@case()
def takes_no_request(world):
    """The request waits for another worker, but not for longer than they are started at once."""
    tool = world.bad_worker("stop-listening")
    world.expect(tool, "a", out="batch a\n")
    require(len(world.notes(tool)) > 3, f"{world.notes(tool)}")  # three deaths, and the batch


@case()
def retires(world):
    tool = world.bad_worker("retire")
    for _ in range(3):
        world.expect(tool, options=["--no-batch"])
    require(world.notes(tool) == ["start", "run"] * 3, f"{world.notes(tool)}")
    require(world.list()["pools"][0]["deaths"] == 0, f"{world.list()}")


@case()
def refuses(world):
    tool = world.bad_worker("refuse")
    world.expect(
        tool,
        "a",
        options=["--explain"],
        out="batch a\n",
        err=f"prewarm: call: {tool} runs as a batch process: not today\n",
    )


@case()
def answers_in_its_own_order(world):
    tool = world.bad_worker("concurrent")
    world.declare_command(tool, workers=1)
    first = world.start(tool, options=["--no-batch"])
    world.wait("it runs", lambda: "run" in world.notes(tool))
    second = world.start(tool, options=["--no-batch"])
    require(sorted([first.wait(30), second.wait(30)]) == [1, 2], "statuses")
    require(first.returncode == 1, "the answers were mixed up")


@case()
def takes_signals(world):
    """One that understands signals gets them as messages, and lives on."""
    tool = world.bad_worker("signals")
    process = world.start(tool)
    world.wait("it runs", lambda: "ready" in world.notes(tool))
    worker = pids(world)
    process.send_signal(signal.SIGINT)
    require(process.wait(30) == -signal.SIGINT, f"{process.returncode}")
    require(pids(world) == worker, "the worker was killed")


@case()
def deaf_to_signals(world):
    tool = world.bad_worker("deaf-to-signals")
    world.expect(
        tool,
        status=124,
        options=["--timeout", "0.5"],
        err=f"prewarm: call: {tool}: its time was over\n",
    )
    require(world.notes(tool)[:2] == ["start", "run"], f"{world.notes(tool)}")
    require(world.notes(tool).count("signal") == 2, f"{world.notes(tool)}")


@case(seconds=120)
def fails_its_health_check(world):
    """One that does not even answer `echo` when it is idle is replaced."""
    tool = world.bad_worker("deaf-to-echo")
    world.expect(tool, options=["--no-batch"])
    worker = pids(world)[0]
    world.gone(worker, 60)
    world.expect(tool, options=["--no-batch"])
    require(world.notes(tool) == ["start", "run"] * 2, f"{world.notes(tool)}")


@case()
def many_crashes_in_a_row(world):
    """A tool that crashes is no worker that can't start: what is said is the same each time."""
    for _ in range(6):
        world.expect(world.tool, "kill", "11", status=-11)
    with timed(20):
        world.expect(world.tool, "out", "x", out="x")


@case()
def queued_requests_of_a_worker_that_dies(world):
    """Two wait while the only worker is busy; it is killed; the two are served by another."""
    world.declare_command(world.tool, workers=1)
    busy = world.start(world.tool, "pause")
    world.ready(busy)
    worker = pids(world)[0]
    waiting = [world.start(world.tool, "out", str(i), options=["--no-batch"]) for i in range(2)]
    world.wait("two wait", lambda: world.list()["pools"][0]["waiting"] == 2)
    os.kill(worker, signal.SIGKILL)
    require(busy.wait(30) == -9, f"{busy.returncode}")
    results = [world.result(process) for process in waiting]
    require([(r.status, r.out) for r in results] == [(0, "0"), (0, "1")], f"{results}")


@case()
def descriptors_of_requests(world):
    """Nothing is left of them in the owner."""
    with_socket = world.warm()
    owner = world.owner()
    before = sorted(processes.descriptors(owner).values())
    for _ in range(20):
        world.expect(world.tool, "out", "x", out="x")
    with RawClient(world.socket) as client:
        for i in range(20):
            client.ask(i + 2, world.tool, "out", "x")
            require(client.answer().startswith("status"), "no answer")
    world.wait(
        "its descriptors are as before",
        lambda: len(processes.descriptors(owner)) == len(before),
    )
    require(pids(world) == [with_socket], "another worker")
