# SPDX-License-Identifier: MIT
"""What docs/protocol/messages.md says of workers' lives: end, garbage, signals, concurrency."""

from __future__ import annotations

import os
import tempfile

import wire
from checks import Skip, check
from driver import Worker
from worker_checks import Bench, expect, ran, refused


@check("worker")
def many_invocations(bench: Bench) -> None:
    """A hundred invocations: each its own output and input."""
    worker = bench.worker()
    for number in range(100):
        text = b"%d\n" % number
        ran(worker.run("cat", stdin=text), text)


@check("worker")
def end_of_file(bench: Bench) -> None:
    """End of file where a message would begin: the worker exits with 0."""
    worker = bench.worker()
    ran(worker.run("argv"))
    worker.end_of_requests()
    expect(worker.wait(), 0, "exit status")


@check("worker")
def garbage_before_version(bench: Bench) -> None:
    """What is not a message, as the first thing: exit with 1, without an answer."""
    worker = bench.fresh()
    worker.send_bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    expect(worker.answer("the end"), None, "answer")
    expect(worker.wait(), 1, "exit status")


BAD_MESSAGES = {
    "type in capitals": b"Echo 5 0\n",
    "type that begins with a digit": b"3cho 5 0\n",
    "type too long": b"a" * 32 + b" 5 0\n",
    "id with leading zero": b"echo 05 0\n",
    "id with a sign": b"echo +5 0\n",
    "id too large": b"echo 4294967296 0\n",
    "count with leading zero": b"echo 5 00\n",
    "count too large": b"echo 5 131073\n",
    "two blanks": b"echo  5 0\n",
    "trailing blank": b"echo 5 0 \n",
    "field without blank": b"echo 5 1\nname\n",
    "field name with _": b"echo 5 1\na_b c\n",
    "escape unknown": b"echo 5 1\na \\t\n",
    "backslash at the end": b"echo 5 1\na b\\\n",
}


@check("worker")
def bad_messages(bench: Bench) -> None:
    """What isn't a message, for each rule of the form: exit with 1, without an answer."""
    for what, payload in BAD_MESSAGES.items():
        worker = bench.worker()
        worker.send(payload)
        expect(worker.answer(what), None, what + ": answer")
        expect(worker.wait(), 1, what + ": exit status")
        worker.close()
        bench._workers.remove(worker)


@check("worker")
def nul(bench: Bench) -> None:
    """NUL is no byte of a value: exit with 1, without an answer."""
    worker = bench.worker()
    worker.send(b"echo 5 1\na b\0c\n")
    expect(worker.answer("NUL"), None, "answer")
    expect(worker.wait(), 1, "exit status")


@check("worker")
def signal_to_the_group(bench: Bench) -> None:
    """SIGTERM in the middle of a request ends it by that signal (to the group, or by `signal`)."""
    worker = bench.worker()
    invocation = worker.start("pause", feed=False)
    try:
        invocation.wait_output(b"ready\n")
        send_signal(worker, invocation.id, 15)
        expect(invocation.finish().status, ("signal", 15), "status")
    finally:
        invocation.close()


def send_signal(worker: Worker, request: int, number: int) -> None:
    if "signal" in worker.features:
        fields = [("request", b"%d" % request), ("signal", b"%d" % number)]
        worker.send(wire.write("signal", 0, fields))
    else:
        os.killpg(worker.process.pid, number)


@check("worker")
def signal_request_unknown_id(bench: Bench) -> None:
    """`signal` for an id that isn't under way is ignored: no answer, and nothing ends."""
    worker = bench.worker()
    if "signal" not in worker.features:
        raise Skip("no feature signal")
    for request in (4242, 1):
        send_signal(worker, request, 15)
    expect(worker.ask("echo", [("a", b"b")]).type, "echo", "the next answer")
    ran(worker.run("argv", "on"), b"on\0")


@check("worker")
def signal_only_its_request(bench: Bench) -> None:
    """`signal` reaches the one that it names, and no other that is under way."""
    worker = bench.worker()
    if "signal" not in worker.features or int(worker.features.get("concurrent", "1")) < 2:
        raise Skip("not both features signal and concurrent")
    first, second = worker.start("pause", feed=False), worker.start("pause", feed=False)
    try:
        first.wait_output(b"ready\n")
        second.wait_output(b"ready\n")
        send_signal(worker, first.id, 15)
        expect(first.finish().status, ("signal", 15), "status of the first")
        second.end_input()
        ran(second.finish(), b"ready\n")
    finally:
        first.close()
        second.close()


@check("worker")
def concurrent_requests(bench: Bench) -> None:
    """`concurrent N`: several are under way together, and each gets its own answer."""
    worker = bench.worker()
    number = min(int(worker.features.get("concurrent", "1")), 8)
    if number < 2:
        raise Skip("no feature concurrent")
    invocations = [worker.start("pause", feed=False) for _ in range(number)]
    try:
        for invocation in invocations:
            invocation.wait_output(b"ready\n")
        for invocation in reversed(invocations):
            invocation.end_input()
            ran(invocation.finish(), b"ready\n")
    finally:
        for invocation in invocations:
            invocation.close()


@check("worker")
def too_many_requests(bench: Bench) -> None:
    """One request more than `concurrent N` says: `error`, reason `busy`, or it waits its turn."""
    worker = bench.worker()
    number = int(worker.features.get("concurrent", "1"))
    if not 2 <= number <= 128:
        raise Skip("no feature concurrent, or too much of it")
    invocations = [worker.start("pause", feed=False) for _ in range(number)]
    try:
        for invocation in invocations:
            invocation.wait_output(b"ready\n")
        last = worker.start("argv", "late")
        invocations.append(last)
        refused(last.finish(), b"busy")
        for invocation in invocations[:-1]:
            invocation.end_input()
            ran(invocation.finish(), b"ready\n")
        ran(worker.run("argv", "free"), b"free\0")
    finally:
        for invocation in invocations:
            invocation.close()


@check("worker")
def answers_do_not_wait_for_children(bench: Bench) -> None:
    """Processes that a tool leaves behind keep running; the answer does not wait for them."""
    worker = bench.worker()
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "fifo")
        os.mkfifo(path)
        invocation = worker.start("leave", path)
        try:
            answer = worker.answer("the answer, while a child of the tool still runs")
            release = os.open(path, os.O_WRONLY)
            os.write(release, b"late\n")
            os.close(release)
            outcome = invocation.finish(answer)
            expect(outcome.status, ("exit", 0), "status")
            if worker.transport == "capers":  # FCLI: lost
                expect(outcome.out, b"late\n", "standard output")
        finally:
            invocation.close()
    ran(worker.run("argv", "on"), b"on\0")
