# SPDX-License-Identifier: MIT
"""Starts a worker by Capers or FCLI, sends it requests, and sees what comes of them.

Everything waits until the driver's limit at most; then the check fails and the worker is killed.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass

import wire
from wire import Fields, Message, Violation

NULL = os.devnull


@dataclass
class Outcome:
    """What became of an invocation. `answer` is None if the worker ended instead."""

    answer: Message | None
    exit: int | None
    signal: int | None
    out: bytes = b""
    err: bytes = b""

    @property
    def status(self) -> tuple[str, int]:
        return ("exit", self.exit) if self.exit is not None else ("signal", self.signal or 0)


class Collector(threading.Thread):
    """Reads a pipe until nobody has its other end any more."""

    def __init__(self, fd: int) -> None:
        super().__init__(daemon=True)
        self._fd, self.content = fd, b""
        self._stop_read, self._stop_write = os.pipe()
        self.finished = False
        self.start()

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._stop_read, select.POLLIN)
        while True:
            events = dict(poll.poll())
            if self._fd in events:
                try:
                    data = os.read(self._fd, 65536)
                except BlockingIOError:
                    continue
                if not data:
                    self.finished = True
                    return
                self.content += data
            elif events:
                return

    def result(self, deadline: float) -> bytes:
        self.join(max(0.0, deadline - time.monotonic()))
        if not self.finished:
            raise Violation("a pipe of the invocation is still open after the answer")
        return self.content

    def close(self) -> None:
        os.write(self._stop_write, b".")
        self.join()
        for fd in (self._fd, self._stop_read, self._stop_write):
            os.close(fd)


class Feeder(threading.Thread):
    """Writes what an invocation is to read, and then ends it."""

    def __init__(self, content: bytes, fd: int | None = None, path: str | None = None) -> None:
        super().__init__(daemon=True)
        self._content, self._fd, self._path = content, fd, path
        self.start()

    def run(self) -> None:
        fd = self._fd if self._fd is not None else os.open(self._path, os.O_WRONLY)
        rest = self._content
        try:
            while rest:
                rest = rest[os.write(fd, rest):]
        except BrokenPipeError:
            pass
        finally:
            os.close(fd)


class Worker:
    """Common to both transports: the process, ids, answers."""

    transport = ""

    def __init__(self, command: list[str], limit: float, env: dict[str, str] | None = None,
                 cwd: str | None = None) -> None:
        self.limit = limit
        self.next_id = 1
        self.features: dict[str, str] = {}
        self._env = dict(os.environ if env is None else env)
        self._cwd = cwd
        self.directory = tempfile.mkdtemp(prefix="conform-")
        self.log = open(os.path.join(self.directory, "log"), "w+b")
        self.process = self._start(command)

    def _spawn(self, command: list[str], variables: dict[str, str], fds: tuple[int, ...]) -> (
            subprocess.Popen[bytes]):
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log,
            env={**self._env, **variables}, cwd=self._cwd, pass_fds=fds, start_new_session=True)

    def deadline(self) -> float:
        return time.monotonic() + self.limit

    # The transport's part.
    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def send_bytes(self, data: bytes) -> None:
        raise NotImplementedError

    def send(self, payload: bytes) -> None:
        raise NotImplementedError

    def _read(self, deadline: float, what: str) -> bytes | None:
        raise NotImplementedError

    def end_of_requests(self) -> None:
        raise NotImplementedError

    def start_invocation(self, fields: Fields, stdin: bytes | None, merged: bool) -> Invocation:
        raise NotImplementedError

    # Requests.
    def answer(self, what: str) -> Message | None:
        payload = self._read(self.deadline(), what)
        return None if payload is None else wire.read(payload)

    def ask(self, type_: str, fields: Fields) -> Message:
        identity = self.take_id()
        self.send(wire.write(type_, identity, fields))
        answer = self.answer("the answer to " + type_)
        if answer is None:
            raise Violation("the worker has gone instead of answering " + type_)
        if answer.id != identity:
            raise Violation("another id than asked: %r" % answer)
        return answer

    def take_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def negotiate(self) -> Message:
        answer = self.ask("version", [("version", b"1")])
        if answer.type != "version" or answer.one("version") != b"1":
            raise Violation("no version 1: %r" % answer)
        for feature in answer.all("feature"):
            name, _, value = feature.decode("ascii").partition(" ")
            self.features[name] = value
        return answer

    def run(self, *args: str | bytes, stdin: bytes = b"", merged: bool = False,
            fields: Fields | None = None, name: str = "tool") -> Outcome:
        """One invocation from beginning to end."""
        invocation = self.start(*args, stdin=stdin, merged=merged, fields=fields, name=name)
        try:
            return invocation.finish()
        finally:
            invocation.close()

    def start(self, *args: str | bytes, stdin: bytes = b"", merged: bool = False,
              fields: Fields | None = None, feed: bool = True, name: str = "tool") -> Invocation:
        encoded = [os.fsencode(arg) for arg in (name, *args)]
        every = [("arg", arg) for arg in encoded] + (fields or [])
        return self.start_invocation(every, stdin if feed else None, merged)

    # The end.
    def wait(self) -> int:
        """The worker's status, as subprocess has it."""
        try:
            return self.process.wait(self.limit)
        except subprocess.TimeoutExpired:
            raise Violation("the worker does not end") from None

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read()[-2000:].decode(errors="replace")

    def close(self) -> None:
        if self.process.poll() is None:
            self.end_of_requests()
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory)


class Invocation:
    """One that is under way: its streams, and the answer to come."""

    def __init__(self, worker: Worker, identity: int, collectors: list[Collector],
                 feeder: int | None) -> None:
        self.worker, self.id, self._collectors = worker, identity, collectors
        self._stdin = feeder

    def end_input(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    def wait_output(self, expected: bytes) -> None:
        """Until standard output begins with that."""
        deadline = self.worker.deadline()
        while not self._collectors[0].content.startswith(expected):
            if time.monotonic() > deadline or self._collectors[0].finished:
                raise Violation("the tool has not written %r" % expected)
            self._collectors[0].join(0.005)

    def finish(self, answer: Message | None = None) -> Outcome:
        worker = self.worker
        if answer is None:
            answer = worker.answer("the answer to argv")
        if answer is None:
            code = worker.wait()
            outcome = Outcome(None, code if code >= 0 else None, -code if code < 0 else None)
        else:
            if answer.id != self.id:
                raise Violation("another id than asked: %r" % answer)
            outcome = Outcome(answer, None, None)
            if answer.type == "status":
                outcome.exit, outcome.signal = _status(answer)
            elif answer.type != "error":
                raise Violation("neither status nor error: %r" % answer)
        self.end_input()
        deadline = worker.deadline()
        contents = [collector.result(deadline) for collector in self._collectors
                    ] if not answer or answer.type == "status" else [b"", b""]
        outcome.out = contents[0]
        outcome.err = contents[1] if len(contents) > 1 else b""
        return outcome

    def close(self) -> None:
        self.end_input()
        for collector in self._collectors:
            collector.close()
        self._collectors = []


def _status(answer: Message) -> tuple[int | None, int | None]:
    exits, signals = answer.all("exit"), answer.all("signal")
    if len(exits) + len(signals) != 1:
        raise Violation("neither exit nor signal, or both: %r" % answer)
    value = (exits + signals)[0]
    if not value.isdigit() or str(int(value)).encode() != value or int(value) > 255:
        raise Violation("not a status: %r" % answer)
    return (int(value), None) if exits else (None, int(value))


class CapersWorker(Worker):
    transport = "capers"

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._reader = wire.PacketReader(self.socket)
        with theirs:
            variables = {"CAPERS_VERSION": "1", "CAPERS_FD": str(theirs.fileno())}
            return self._spawn(command, variables, (theirs.fileno(),))

    def send_bytes(self, data: bytes) -> None:
        try:
            self.socket.sendall(data, socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has given up in the middle, as it may

    def send(self, payload: bytes) -> None:
        self.send_bytes(wire.packet(payload))

    def _read(self, deadline: float, what: str) -> bytes | None:
        payload = self._reader.next(deadline, what)
        if self._reader.descriptors:
            raise Violation("descriptors with an answer")
        return payload

    def end_of_requests(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def start_invocation(self, fields: Fields, stdin: bytes | None, merged: bool) -> Invocation:
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        err_read, err_write = (-1, os.dup(out_write)) if merged else os.pipe()
        identity = self.take_id()
        theirs = [in_read, out_write, err_write]
        try:
            wire.send_packet(self.socket, wire.write("argv", identity, fields), theirs)
        finally:
            for fd in theirs:
                os.close(fd)
        collectors = [Collector(out_read)] + ([] if merged else [Collector(err_read)])
        if stdin is None:
            return Invocation(self, identity, collectors, in_write)
        Feeder(stdin, fd=in_write)
        return Invocation(self, identity, collectors, None)

    def close(self) -> None:
        super().close()
        self.socket.close()


class FcliWorker(Worker):
    transport = "fcli"

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        paths = [os.path.join(self.directory, name) for name in ("requests", "answers")]
        for path in paths:
            os.mkfifo(path, 0o600)
        # Both for reading and writing: opening waits for nobody. The writing end of the requests is
        # one of its own, so that it can be closed.
        keep = os.open(paths[0], os.O_RDONLY | os.O_NONBLOCK)
        self._requests = os.open(paths[0], os.O_WRONLY)
        self._answers = os.open(paths[1], os.O_RDONLY | os.O_NONBLOCK)
        self._keep: int | None = keep
        self._reader = wire.LineReader(self._answers)
        self._streams = 0
        variables = {"FCLI_VERSION": "1", "FCLI_REQUEST_FIFO": paths[0],
                     "FCLI_RESPONSE_FIFO": paths[1]}
        return self._spawn(command, variables, ())

    def send_bytes(self, data: bytes) -> None:
        # Written in pieces, so that a worker which has given up is noticed.
        try:
            while data:
                while not select.select([], [self._requests], [], 0.1)[1]:
                    if self.process.poll() is not None:
                        return
                data = data[os.write(self._requests, data[:4096]):]
        except BrokenPipeError:
            pass

    def send(self, payload: bytes) -> None:
        self.send_bytes(payload)

    def _read(self, deadline: float, what: str) -> bytes | None:
        # Before the worker has opened it there is no end of file to be seen, only nothing.
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        if not self._reader._buffer:
            while not poll.poll(50):
                if self.process.poll() is not None and not poll.poll(0):
                    return None
                if time.monotonic() > deadline:
                    raise Violation("nothing came in time: " + what)
            if self._keep is not None:  # the worker has the other end now
                os.close(self._keep)
                self._keep = None
        return self._reader.next(deadline, what)

    def end_of_requests(self) -> None:
        if self._requests >= 0:
            os.close(self._requests)
            self._requests = -1

    def start_invocation(self, fields: Fields, stdin: bytes | None, merged: bool) -> Invocation:
        self._streams += 1
        names = ("stdin", "stdout") if merged else ("stdin", "stdout", "stderr")
        paths = [os.path.join(self.directory, "%s.%d" % (name, self._streams)) for name in names]
        for path in paths:
            os.mkfifo(path, 0o600)
        collectors = [Collector(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) for path in paths[1:]]
        streams = [("stdin", paths[0]), ("stdout", paths[1]), ("stderr", paths[-1])]
        identity = self.take_id()
        held = None
        self.send(wire.write("argv", identity, fields + [(n, p.encode()) for n, p in streams]))
        # A worker that refuses never opens its input: then this end is opened against our own.
        held = self._open_input(paths[0], identity)
        if stdin is None:
            return Invocation(self, identity, collectors, held)
        Feeder(stdin, fd=held)
        return Invocation(self, identity, collectors, None)

    def _open_input(self, path: str, identity: int) -> int:
        """Our end of the input: as soon as the worker has its own, or has answered or ended."""
        deadline = self.deadline()
        while True:
            try:
                fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                os.set_blocking(fd, True)
                return fd
            except OSError:
                done = select.select([self._answers], [], [], 0.002)[0]
                if done or self.process.poll() is not None:
                    ours = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                    fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                    os.close(ours)
                    return fd
                if time.monotonic() > deadline:
                    raise Violation("the worker does not open the input") from None

    def close(self) -> None:
        super().close()
        self.end_of_requests()
        for fd in (self._answers, self._keep):
            if fd is not None:
                os.close(fd)


WORKERS = {"capers": CapersWorker, "fcli": FcliWorker}
