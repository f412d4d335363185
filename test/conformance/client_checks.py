# SPDX-License-Identifier: MIT
"""What the protocol says of clients of a Capers server. Here the check is the server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import wire
from checks import check
from wire import Fields, Message, Violation
from worker_checks import expect

# Run as a batch process it leaves a mark: clients may do that after `error`, and only then.
TOOL = """#!/bin/sh
echo run >>"$0.runs"
echo batch
exit 33
"""


class Connection:
    """One client's conversation with the server that a check plays."""

    def __init__(self, sock: socket.socket, limit: float) -> None:
        self.socket, self._limit = sock, limit
        self._reader = wire.PacketReader(sock)
        self.descriptors: list[int] = []

    def request(self, what: str) -> Message | None:
        payload = self._reader.next(time.monotonic() + self._limit, what)
        self.descriptors += self._reader.descriptors
        self._reader.descriptors.clear()
        return None if payload is None else wire.read(payload)

    def answer(self, type_: str, identity: int, fields: Fields) -> None:
        self.socket.sendall(wire.packet(wire.write(type_, identity, fields)))

    def negotiated(self, fields: Fields | None = None) -> Message:
        """Answers `version`, and gives the request that follows it."""
        request = self.request("version")
        if request is None or request.type != "version" or b"1" not in request.all("version"):
            raise Violation("the first request: %r" % request)
        if not 1 <= request.id <= 2 ** 32 - 1:
            raise Violation("not an id: %d" % request.id)
        if self.descriptors:
            raise Violation("descriptors with a version request")
        self.answer("version", request.id, [("version", b"1"), *(fields or [])])
        request = self.request("argv")
        if request is None:
            raise Violation("no invocation")
        return request

    def close_descriptors(self) -> None:
        while self.descriptors:
            os.close(self.descriptors.pop())

    def close(self) -> None:
        self.close_descriptors()
        self.socket.close()


class Server:
    def __init__(self, command: list[str], limit: float, name: str = "socket") -> None:
        self._command, self._limit = command, limit
        self.directory = tempfile.mkdtemp(prefix="conform-")
        self.path = os.path.join(self.directory, name)
        self.tool = os.path.join(self.directory, "conform-tool")
        with open(self.tool, "w") as file:
            file.write(TOOL)
        os.chmod(self.tool, 0o755)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._connections: list[Connection] = []
        self._log = open(os.path.join(self.directory, "log"), "w+b")
        self.client: subprocess.Popen[bytes] | None = None

    def start(self, *args: str, **options: object) -> subprocess.Popen[bytes]:
        """A client that wants the tool run, its streams as in Popen."""
        command = [word.replace("{socket}", self.path).replace("{directory}", self.directory)
                   for word in self._command]
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": self._log,
                   **options}
        environment = {**os.environ, "CAPERS_SOCKET": self.path, "CONFORM_A": "a\n\\"}
        self.client = subprocess.Popen([*command, self.tool, *args], env=environment, **options)
        return self.client

    def accept(self) -> Connection:
        wire.wait_readable(self._listener.fileno(), time.monotonic() + self._limit, "a connection")
        self._connections.append(Connection(self._listener.accept()[0], self._limit))
        return self._connections[-1]

    def invocation(self, *args: str, version: Fields | None = None, **options: object) -> (
            tuple[Connection, Message]):
        self.start(*args, **options)
        connection = self.accept()
        return connection, connection.negotiated(version)

    def finish(self) -> tuple[int, bytes]:
        """The client's status, as subprocess has it, and its output."""
        for connection in self._connections:
            connection.close_descriptors()  # one may be the other end of the output
        try:
            output = self.client.communicate(timeout=self._limit)[0]
        except subprocess.TimeoutExpired:
            raise Violation("the client does not end") from None
        return self.client.returncode, output

    def batch_runs(self) -> int:
        try:
            with open(self.tool + ".runs") as file:
                return len(file.readlines())
        except FileNotFoundError:
            return 0

    def nobody_else_comes(self) -> None:
        """After the client's end: it has not connected again."""
        self._listener.setblocking(False)
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return
        raise Violation("the client has connected again")

    def said(self) -> str:
        self._log.seek(0)
        return self._log.read()[-2000:].decode(errors="replace")

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._listener.close()
        if self.client is not None:
            if self.client.poll() is None:
                self.client.kill()
                self.client.wait()
            if self.client.stdout:
                self.client.stdout.close()
        self._log.close()
        shutil.rmtree(self.directory)


OK: Fields = [("exit", b"0")]


@check("client")
def client_request(server: Server) -> None:
    """After `version` comes `argv`, with the client's arguments, directory, umask, environment."""
    args = ["one", "", "two words", "line\nfeed", "back\\slash", "ä"]
    connection, request = server.invocation(*args, cwd="/usr")
    expect(request.type, "argv", "type")
    expect(request.all("arg")[1:], [arg.encode() for arg in args], "arguments")
    expect(request.one("cwd"), b"/usr", "cwd")
    mask = os.umask(0o022)
    os.umask(mask)
    for value in request.all("umask"):
        expect(int(value, 8), mask, "umask")
    if b"CONFORM_A=a\n\\" not in request.all("env"):
        raise Violation("not in the environment: CONFORM_A")
    for value in request.all("env"):
        name, equals, _ = value.partition(b"=")
        if not name or not equals or name.startswith(b"CAPERS_FD"):
            raise Violation("env: %r" % value)
    connection.answer("status", request.id, OK)
    expect(server.finish()[0], 0, "exit status")


@check("client")
def client_descriptors(server: Server) -> None:
    """Three descriptors come with `argv`, and they are the client's own open files."""
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        file.seek(4)
        connection, request = server.invocation("x", stdin=file)
        expect(len(connection.descriptors), 3, "descriptors")
        expect(os.read(connection.descriptors[0], 3), b"456", "input")
        expect(os.lseek(file.fileno(), 0, os.SEEK_CUR), 7, "the client's offset")
    os.write(connection.descriptors[1], b"to stdout")
    os.write(connection.descriptors[2], b"to stderr")
    connection.close_descriptors()
    connection.answer("status", request.id, OK)
    expect(server.finish(), (0, b"to stdout"), "status and output")
    if "to stderr" not in server.said():
        raise Violation("nothing on standard error")


@check("client")
def client_waits_for_no_copy(server: Server) -> None:
    """The client ends when the answer comes, and its reader sees the end of its pipes."""
    connection, request = server.invocation("x")
    connection.close_descriptors()
    connection.answer("status", request.id, OK)
    expect(server.finish(), (0, b""), "status and output")
    expect(connection.request("the end of the conversation"), None, "what comes after the answer")


@check("client")
def client_exit_codes(server: Server) -> None:
    """The exit status of the answer is the client's, whatever other fields there are."""
    for code in (0, 1, 77, 255):
        connection, request = server.invocation("x")
        connection.answer("status", request.id, [
            ("x-later", b"\xff"), ("user-us", b"1"), ("exit", b"%d" % code), ("max-rss-kib", b"9")])
        expect(server.finish()[0], code, "exit status")
        connection.close()


@check("client")
def client_signal_status(server: Server) -> None:
    """`signal N`: the client ends by that signal, or with 128 + N, as a shell shows it."""
    connection, request = server.invocation("x")
    connection.answer("status", request.id, [("signal", b"15")])
    status = server.finish()[0]
    if status not in (-15, 143):
        raise Violation("status %d" % status)


@check("client")
def client_answer_in_pieces(server: Server) -> None:
    """Answers in pieces of one byte."""
    connection, request = server.invocation("x")
    for byte in wire.packet(wire.write("status", request.id, [("exit", b"5")])):
        connection.socket.send(bytes([byte]))
    expect(server.finish()[0], 5, "exit status")


@check("client")
def client_unknown_feature(server: Server) -> None:
    """Unknown fields and features in the `version` answer are ignored."""
    fields = [("feature", b"teleport 3"), ("implementation", b"\xffodd"), ("x-new", b"")]
    connection, request = server.invocation("x", version=fields)
    connection.answer("status", request.id, [("exit", b"6")])
    expect(server.finish()[0], 6, "exit status")


@check("client")
def client_refused(server: Server) -> None:
    """After `error` the tool is run as a batch process once, or the client fails."""
    connection, request = server.invocation("x")
    connection.answer("error", request.id, [("reason", b"brand-new"), ("message", b"no")])
    connection.close_descriptors()
    # It may ask again; again the answer is no.
    while (again := connection.request("the client's end")) is not None:
        connection.close_descriptors()
        connection.answer("error", again.id, [("reason", b"refused"), ("message", b"no")])
    status, output = server.finish()
    if server.batch_runs():
        expect((server.batch_runs(), status, output), (1, 33, b"batch\n"), "batch run")
    elif status == 0:
        raise Violation("not run, and exit status 0")


@check("client")
def client_server_dies(server: Server) -> None:
    """A server that ends after it has read the request: not sent again, not run, not success."""
    connection, _ = server.invocation("x")
    connection.close()
    status, _ = server.finish()
    expect(server.batch_runs(), 0, "batch runs")
    if status == 0:
        raise Violation("exit status 0")
    server.nobody_else_comes()


@check("client")
def client_garbage_answer(server: Server) -> None:
    """An answer that is none: the client gives up, without success and without a second run."""
    for data in (b"HTTP/1.1 200 OK\r\n", wire.packet(b"status x 1\nexit 0\n"), b"7:status"):
        connection, _ = server.invocation("x")
        connection.socket.sendall(data)
        connection.close()
        if server.finish()[0] == 0:
            raise Violation("exit status 0 after %r" % data)
        expect(server.batch_runs(), 0, "batch runs after %r" % data)


@check("client")
def client_version_refused(server: Server) -> None:
    """No version in common: no invocation is sent; the tool is run as a batch process, or not."""
    server.start("x")
    connection = server.accept()
    request = connection.request("version")
    connection.answer("error", request.id, [("reason", b"version"), ("message", b"only 9")])
    if connection.request("the client's end") is not None:
        raise Violation("a request without a version")
    status, _ = server.finish()
    if status == 0 or server.batch_runs() > 1:
        raise Violation("status %d, batch runs %d" % (status, server.batch_runs()))


@check("client")
def client_interrupted(server: Server) -> None:
    """A client that gets SIGTERM ends or asks for the signal; the connection ends, too."""
    connection, request = server.invocation("x")
    connection.close_descriptors()
    server.client.send_signal(signal.SIGTERM)
    while (other := connection.request("the end, or a signal request")) is not None:
        expect((other.type, other.one("request"), other.one("signal")),
               ("signal", b"%d" % request.id, b"15"), "request")
        connection.answer("status", request.id, [("signal", b"15")])
    if server.finish()[0] not in (-15, 143):
        raise Violation("not ended by SIGTERM")
