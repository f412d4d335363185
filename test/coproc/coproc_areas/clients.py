# SPDX-License-Identifier: MIT
"""Clients that signal, are killed, or write what is no request; terminals; deadlines."""

import os
import signal
import socket

from coproc_harness.raw import RawClient, message, packet
from coproc_harness.world import case, descriptors
from faults_harness import processes
from faults_harness.cases import need, require
from faults_harness.terminals import CTRL_C, CTRL_Z, Terminal


@case()
def killed(world):
    """The work is cancelled, and the slot is free."""
    world.declare_command(world.tool, workers=1)
    process = world.start(world.tool, "pause")
    world.ready(process)
    worker = world.workers()[0]["pid"]
    owner = world.owner()
    process.kill()
    process.wait(30)
    world.gone(worker)
    world.expect(world.tool, "out", "x", options=["--no-batch"], out="x")
    require(world.owner() == owner, "another owner")


@case()
def killed_while_it_waits(world):
    world.declare_command(world.tool, workers=1)
    count = world.directory / "count"
    busy = world.start(world.tool, "pause")
    world.ready(busy)
    waiting = world.start(world.tool, "count", count)
    world.wait("it waits", lambda: world.list()["pools"][0]["waiting"] == 1)
    waiting.kill()
    waiting.wait(30)
    world.wait("it is given up", lambda: world.list()["pools"][0]["waiting"] == 0)
    require(world.result(busy).status == 0, "the other one")
    world.expect(world.tool, "out", "x", out="x")
    require(not count.exists(), "it ran")


@case()
def signalled(world):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        process = world.start(world.tool, "pause")
        world.ready(process)
        process.send_signal(number)
        require(process.wait(30) == -number, f"{number}: {process.returncode}")
        require(process.stderr.read() == b"", f"{number}: it says something")


@case()
def catches_int(world):
    """A tool that catches SIGINT and goes on is not killed for it."""
    process = world.start(world.tool, "catch-int")
    world.ready(process)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        world.ready(process, b"caught\n")
    result = world.result(process)
    require((result.status, result.out) == (0, ""), f"{result}")


def on_terminal(world, terminal, *command):
    """`prewarm call` as the foreground group of a session of its own on the terminal."""

    def prepare():
        os.setsid()
        os.close(os.open(terminal.name, os.O_RDWR))

    return world.start(
        *command,
        stdin=terminal.slave,
        stdout=terminal.slave,
        stderr=terminal.slave,
        preexec_fn=prepare,
    )


@case()
def ctrl_c(world):
    terminal = Terminal()
    process = on_terminal(world, terminal, world.tool, "pause")
    terminal.expect("ready")
    worker = world.workers()[0]["pid"]
    terminal.type(CTRL_C)
    require(process.wait(30) == -signal.SIGINT, f"{process.returncode}")
    world.gone(worker)
    terminal.close()


@case()
def ctrl_z(world):
    """Stops both, below a shell with job control; `fg` lets both go on."""
    terminal = Terminal()
    world.warm()
    worker = world.workers()[0]["pid"]
    shell = world.start(
        "--norc",
        "--noprofile",
        "-i",
        verb=(),
        executable="/bin/bash",
        stdin=terminal.slave,
        stdout=terminal.slave,
        stderr=terminal.slave,
        preexec_fn=lambda: (os.setsid(), os.close(os.open(terminal.name, os.O_RDWR))),
        env={"PS1": "now> ", "TERM": "dumb"},
    )
    terminal.expect("now> ")
    terminal.type(f"{world.prewarm} call {world.tool} pause\n".encode())
    terminal.expect("\nready")
    terminal.type(CTRL_Z)
    terminal.expect("Stopped")
    world.wait("the worker is stopped", lambda: processes.look(worker).state == "T")
    terminal.type(b"fg\n")
    world.wait("the worker goes on", lambda: processes.look(worker).state != "T")
    terminal.type(b"\x04")
    terminal.expect("now> ")
    terminal.type(b"exit\n")
    require(shell.wait(30) == 0, f"{shell.returncode}")
    terminal.close()


@case()
def deadline_while_queued(world):
    world.declare_command(world.tool, workers=1)
    busy = world.start(world.tool, "pause")
    world.ready(busy)
    count = world.directory / "count"
    world.expect(
        world.tool,
        "count",
        count,
        options=["--timeout", "0.3"],
        status=124,
        err=f"prewarm: call: {world.tool}: its time was over before a worker was free\n",
    )
    require(world.result(busy).status == 0 and not count.exists(), "it ran")


@case()
def wrong_numbers_of_descriptors(world):
    world.warm()
    owner = world.owner()
    before = descriptors(owner)
    null = os.open(os.devnull, os.O_RDWR)
    with RawClient(world.socket) as client:
        for number, count in enumerate((0, 1, 2, 4, 100), 2):
            client.ask(number, world.tool, "out", "x", descriptors=[null] * count)
            expected = message(
                "error",
                number,
                "reason descriptors",
                f"message three descriptors are needed, {count} have arrived",
            )
            answer = client.answer()
            require(answer == expected, f"{count}: {answer}")
        client.ask(9, world.tool, "exit", "3")
        require(client.answer().startswith("status 9 2\nexit 3\n"), "it doesn't go on")
    world.wait("its descriptors are as before", lambda: descriptors(owner) <= before)


@case()
def what_is_no_request(world):
    world.warm()
    owner = world.owner()
    before = descriptors(owner)
    for data in (
        b"hello\n",
        b"9999999999:",
        b"8388609:",
        b"007:",
        b"-1:",
        b"5:hello,",
        b"3:a 2,",
        b"12:echo 2 0\n\0x\n,",
        packet(message("echo", 0)),
        packet(message("echo", 2)) [:-1] + b";",
    ):
        with RawClient(world.socket) as client:
            client.send(data)
            require(client.answer() == "", f"it answers {data!r}")
    for part in (b"1", b"20:argv 2", packet(message("echo", 2))[:-1]):
        with RawClient(world.socket) as client:
            client.send(part)
            client.socket.shutdown(socket.SHUT_WR)
            require(client.answer() == "", f"it answers {part!r}")
    world.wait("its descriptors are as before", lambda: descriptors(owner) <= before)
    require(world.owner() == owner, "another owner")


@case()
def queue_full(world):
    """One client can have 256 requests under way; the next is told so."""
    world.declare_command(world.tool, workers=1)
    busy = world.start(world.tool, "pause")
    world.ready(busy)
    declared = [f"declarations {world.declarations}"]
    with RawClient(world.socket) as client:
        for number in range(2, 259):
            client.ask(number, world.tool, "out", "x", fields=declared)
        answer = client.answer()
        require(answer.startswith("error 258 2\nreason busy\n"), answer)
    require(world.result(busy).status == 0, "the other one")


@case()
def another_user(world):
    need(os.geteuid() == 0, "root is needed to play another user")
    world.warm()
    world.directory.chmod(0o755)
    world.runtime.chmod(0o711)
    world.socket.chmod(0o666)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgid(65534)
        os.setuid(65534)
        client = RawClient(world.socket, greet=False)
        os.write(write, client.answer().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    answer = os.read(read, 1000).decode()
    require(answer.startswith("error 1 2\nreason user\n"), answer)
    line = "prewarm: refused a connection of user 65534: these pools are of user 0\n"
    world.wait("it is logged", lambda: world.log() == line)
    world.runtime.chmod(0o700)
