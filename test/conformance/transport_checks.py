# SPDX-License-Identifier: MIT
"""What docs/protocol/capers.md and fcli.md say of workers."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import stat
import tempfile
import termios
import time

import wire
from checks import check
from driver import CapersWorker, FcliWorker
from wire import Violation
from worker_checks import Bench, expect, ran


def _wait_read(worker: CapersWorker) -> None:
    """Until the worker has read all that was sent: then the next piece is one by itself."""
    deadline = worker.deadline()
    unread = array.array("i", [1])
    while unread[0]:
        if time.monotonic() > deadline or worker.process.poll() is not None:
            raise Violation("the worker does not read")
        fcntl.ioctl(worker.socket, termios.TIOCOUTQ, unread)
        time.sleep(0)


def _send_argv(worker: CapersWorker, descriptors: list[int], cut: list[int]) -> int:
    """An invocation in pieces: the packet cut at these places, descriptors with the first piece."""
    identity = worker.take_id()
    data = wire.packet(wire.write("argv", identity, [("arg", b"tool"), ("arg", b"out"),
                                                     ("arg", b"text")]))
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    start = 0
    for end in [*cut, len(data)]:
        if start == 0:
            worker.socket.sendmsg([data[:end]], ancillary)
        else:
            worker.socket.sendall(data[start:end])
        if end < len(data):
            _wait_read(worker)
        start = end
    return identity


def _invoke_with_files(worker: CapersWorker, send: object) -> bytes:
    """Lets `send` pass /dev/null and a file; gives what is in the file after the answer."""
    with tempfile.TemporaryFile() as file, open(os.devnull) as null:
        identity = send([null.fileno(), file.fileno(), file.fileno()])
        answer = worker.answer("argv")
        if answer is None or (answer.id, answer.type) != (identity, "status"):
            raise Violation("not run: %r" % answer)
        expect(answer.one("exit"), b"0", "exit")
        file.seek(0)
        return file.read()


@check("worker", "capers")
def packet_in_pieces(bench: Bench) -> None:
    """A packet in pieces of one byte is read like a whole one."""
    worker = bench.worker()
    data = wire.packet(wire.write("echo", 77, [("a", b"b\n")]))
    for place in range(len(data)):
        worker.socket.send(data[place:place + 1])
        _wait_read(worker)
    answer = worker.answer("echo in pieces")
    expect((answer.type, answer.id, answer.fields), ("echo", 77, [("a", b"b\n")]), "answer")


@check("worker", "capers")
def packets_together(bench: Bench) -> None:
    """Several packets that arrive together are answered one by one, in order."""
    worker = bench.worker()
    worker.socket.sendall(b"".join(
        wire.packet(wire.write("echo", number, [("n", b"%d" % number)]))
        for number in range(50, 90)))
    for number in range(50, 90):
        answer = worker.answer("echo %d" % number)
        expect((answer.id, answer.fields), (number, [("n", b"%d" % number)]), "answer")


@check("worker", "capers")
def descriptors_with_any_part(bench: Bench) -> None:
    """Descriptors are accepted with the length's first byte, and however the packet is cut."""
    worker = bench.worker()
    for cut in ([], [1], [2, 3, 4], [3], [5, 20]):
        text = _invoke_with_files(worker, lambda fds, cut=cut: _send_argv(worker, fds, cut))
        expect(text, b"text", "output, cut at %r" % cut)


@check("worker", "capers")
def descriptors_after_another_packet(bench: Bench) -> None:
    """An invocation right behind another request: the descriptors are the invocation's."""
    worker = bench.worker()
    with tempfile.TemporaryFile() as file, open(os.devnull) as null:
        worker.socket.sendall(wire.packet(wire.write("echo", 900, [])))
        identity = _send_argv(worker, [null.fileno(), file.fileno(), file.fileno()], [])
        worker.socket.sendall(wire.packet(wire.write("echo", 901, [])))
        # A worker that says `concurrent` may answer in any order.
        answers = {answer.id: answer.type for answer in
                   (worker.answer("three answers") for _ in range(3)) if answer is not None}
        expect(answers, {900: "echo", identity: "status", 901: "echo"}, "answers")
        file.seek(0)
        expect(file.read(), b"text", "output")


@check("worker", "capers")
def wrong_descriptors(bench: Bench) -> None:
    """Another number of descriptors than three: `error`, reason `descriptors`, and no more."""
    worker = bench.worker()
    for number in (0, 1, 2, 4, 6, 40):
        reader, writer = os.pipe()
        payload = wire.write("argv", 500 + number, [("arg", b"tool"), ("arg", b"argv")])
        wire.send_packet(worker.socket, payload, [writer] * number)
        os.close(writer)
        answer = worker.answer("argv with %d descriptors" % number)
        expect((answer.id, answer.type), (500 + number, "error"), "answer to %d" % number)
        expect(answer.one("reason"), b"descriptors", "reason")
        answer.one("message")
        wire.wait_readable(reader, worker.deadline(), "%d descriptors to be closed" % number)
        expect(os.read(reader, 1), b"", "what is in the pipe")
        os.close(reader)
    ran(worker.run("argv", "on"), b"on\0")


@check("worker", "capers")
def descriptors_of_other_requests(bench: Bench) -> None:
    """Descriptors that come with another request are closed, and it is answered as usual."""
    worker = bench.worker()
    reader, writer = os.pipe()
    wire.send_packet(worker.socket, wire.write("echo", 600, [("a", b"")]), [writer] * 3)
    os.close(writer)
    expect(worker.answer("echo with descriptors").type, "echo", "answer")
    wire.wait_readable(reader, worker.deadline(), "descriptors to be closed")
    expect(os.read(reader, 1), b"", "what is in the pipe")
    os.close(reader)
    ran(worker.run("argv", "on"), b"on\0")


@check("worker", "capers")
def refusal_closes_descriptors(bench: Bench) -> None:
    """When an invocation is refused, its descriptors are closed."""
    worker = bench.worker()
    reader, writer = os.pipe()
    payload = wire.write("argv", 700, [("arg", b"tool"), ("cwd", b"/nonexistent/prewarm")])
    wire.send_packet(worker.socket, payload, [writer] * 3)
    os.close(writer)
    expect(worker.answer("argv").one("reason"), b"cwd", "reason")
    wire.wait_readable(reader, worker.deadline(), "descriptors to be closed")
    expect(os.read(reader, 1), b"", "what is in the pipe")
    os.close(reader)


BAD_PACKETS = {
    "no length": b":x,",
    "leading zero": b"010:echo 5 0\n\n,",
    "sign": b"+9:echo 5 0\n,",
    "blank": b" 9:echo 5 0\n,",
    "ten digits": b"1000000000:",
    "larger than a message may be": b"8388609:",
    "no comma": b"9:echo 5 0\n;",
    "payload with something behind the message": b"10:echo 5 0\n\n,",
    "payload of two messages": b"18:echo 5 0\necho 6 0\n,",
    "payload with a field too few": b"9:echo 5 1\n,",
    "payload without its line feed": b"8:echo 5 0,",
    "empty payload": b"0:,",
}


@check("worker", "capers")
def bad_packets(bench: Bench) -> None:
    """What isn't a packet with exactly one message: exit with 1, without an answer."""
    for what, data in BAD_PACKETS.items():
        worker = bench.worker()
        worker.send_bytes(data)
        expect(worker.answer(what), None, what + ": answer")
        expect(worker.wait(), 1, what + ": exit status")


@check("worker", "capers")
def end_inside_packet(bench: Bench) -> None:
    """End of file later than where a length would begin: exit with 1."""
    for data in (b"1", b"9:", b"9:echo 5", b"9:echo 5 0\n"):
        worker = bench.worker()
        worker.send_bytes(data)
        worker.end_of_requests()
        expect(worker.answer("the end"), None, "answer")
        expect(worker.wait(), 1, "exit status after %r" % data)


@check("worker", "capers")
def end_in_the_middle(bench: Bench) -> None:
    """The worker's end of the socket is closed with it, even if the tool left a process behind."""
    worker = bench.worker()
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "fifo")
        os.mkfifo(path)
        ran_outcome = worker.start("leave", path)
        try:
            expect(worker.answer("argv").one("exit"), b"0", "exit")
            worker.end_of_requests()
            expect(worker.answer("the end"), None, "answer")
            expect(worker.wait(), 0, "exit status")
        finally:
            os.close(os.open(path, os.O_WRONLY))
            ran_outcome.close()


@check("worker", "capers")
def descriptors_are_not_inherited(bench: Bench) -> None:
    """Programs that the tool starts have descriptors 0, 1 and 2, and none of the worker's."""
    outcome = bench.worker().run("child-fds")
    ran(outcome, b"0 1 2\n")


@check("worker", "capers")
def offsets_are_shared(bench: Bench) -> None:
    """Offsets of files are shared with the caller: output goes behind what is there."""
    worker = bench.worker()
    with tempfile.TemporaryFile() as file, open(os.devnull) as null:
        os.write(file.fileno(), b"before ")
        fields = [("arg", b"tool"), ("arg", b"out"), ("arg", b"during")]
        for identity in (1001, 1002):
            wire.send_packet(worker.socket, wire.write("argv", identity, fields),
                             [null.fileno(), file.fileno(), file.fileno()])
            expect(worker.answer("argv").one("exit"), b"0", "exit")
        os.write(file.fileno(), b" after")
        file.seek(0)
        expect(file.read(), b"before duringduring after", "content")


@check("worker", "capers")
def broken_pipe(bench: Bench) -> None:
    """A pipe that nobody reads: the request ends, and the worker lives or its end is the answer."""
    worker = bench.worker()
    reader, writer = os.pipe()
    os.close(reader)
    identity = worker.take_id()
    with open(os.devnull, "r+b") as null:
        fields = [("arg", b"tool"), ("arg", b"big"), ("arg", b"1000000")]
        wire.send_packet(worker.socket, wire.write("argv", identity, fields),
                         [null.fileno(), writer, null.fileno()])
        os.close(writer)
        answer = worker.answer("argv")
    if answer is None:
        if worker.wait() == 0:
            raise Violation("lost output, and exit status 0")
        return
    if answer.all("exit") == [b"0"]:
        raise Violation("lost output, and exit status 0")
    outcome = worker.run("out", "on")
    ran(outcome, b"on")


@check("worker", "fcli")
def messages_in_pieces(bench: Bench) -> None:
    """Messages in pieces of one byte, and several together."""
    worker = bench.worker()
    for byte in wire.write("echo", 77, [("a", b"b\n")]):
        worker.send_bytes(bytes([byte]))
    expect(worker.answer("echo in pieces").fields, [("a", b"b\n")], "fields")
    worker.send_bytes(b"".join(wire.write("echo", n, []) for n in range(50, 90)))
    expect([worker.answer("echo").id for _ in range(50, 90)], list(range(50, 90)), "ids")


@check("worker", "fcli")
def end_inside_message(bench: Bench) -> None:
    """End of file inside a message: exit with 1."""
    for data in (b"echo 5", b"echo 5 1\n", b"echo 5 1\na b"):
        worker = bench.worker()
        worker.send_bytes(data)
        worker.end_of_requests()
        expect(worker.wait(), 1, "exit status after %r" % data)


@check("worker", "fcli")
def stream_that_is_not(bench: Bench) -> None:
    """A stream that can't be opened: the tool isn't run; `error`, reason `descriptors`."""
    worker: FcliWorker = bench.worker()
    for name in ("stdin", "stdout", "stderr"):
        fields = [("arg", b"tool"), ("arg", b"argv")]
        for stream in ("stdin", "stdout", "stderr"):
            path = b"/nonexistent/prewarm" if stream == name else b"/dev/null"
            fields.append((stream, path))
        answer = worker.ask("argv", fields)
        expect((answer.type, answer.one("reason")), ("error", b"descriptors"), name)
    ran(worker.run("argv", "on"), b"on\0")


@check("worker", "fcli")
def output_is_not_created(bench: Bench) -> None:
    """Outputs are opened without O_CREAT and O_TRUNC."""
    worker = bench.worker()
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "new")
        streams = [("stdin", b"/dev/null"), ("stdout", path.encode()), ("stderr", b"/dev/null")]
        fields = [("arg", b"tool"), ("arg", b"out"), ("arg", b"X"), *streams]
        expect(worker.ask("argv", fields).type, "error", "answer")
        expect(os.path.exists(path), False, "whether the file is there")
        with open(path, "wb") as file:
            file.write(b"old content")
        expect(worker.ask("argv", fields).one("exit"), b"0", "exit")
        with open(path, "rb") as file:
            expect(file.read(), b"Xld content", "content")


@check("worker", "fcli")
def streams_of_the_start(bench: Bench) -> None:
    """Without such a field a stream is that of the start; `flush` separates the output."""
    worker = bench.worker()
    answer = worker.ask("argv", [("arg", b"tool"), ("arg", b"err"), ("arg", b"on the log")])
    expect(answer.one("exit"), b"0", "exit")
    expect(worker.ask("flush", []).one("exit"), b"0", "flush")
    if "on the log" not in worker.said():
        raise Violation("not on the worker's standard error: %r" % worker.said())


@check("worker", "fcli")
def fifos_stay(bench: Bench) -> None:
    """Workers leave the FIFOs where they are: removing them is the driver's work."""
    worker = bench.worker()
    worker.end_of_requests()
    expect(worker.wait(), 0, "exit status")
    for name in ("requests", "answers"):
        mode = os.stat(os.path.join(worker.directory, name)).st_mode
        expect(stat.S_ISFIFO(mode), True, "whether %s is there" % name)

