# SPDX-License-Identifier: MIT
"""The driver's side of Capers (docs/protocol/capers.md), as far as these tests need it."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import Any

LIMIT_SECONDS = 60


class Worker:
    """A worker that was started with `environment`, and the answers to what it is asked."""

    def __init__(self, command: list[str], environment: dict[str, str], directory: str,
                 **options: Any) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(LIMIT_SECONDS)
        with theirs:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=directory,
                env={**environment, "CAPERS_VERSION": "1", "CAPERS_FD": str(theirs.fileno())},
                pass_fds=[theirs.fileno()], start_new_session=True, **options)
        self._socket = ours
        self._received = b""
        self._last = 0

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> int:
        self._socket.close()
        try:
            return self.process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def send(self, kind: str, fields: list[tuple[str, Any]], streams: list[int] = []) -> int:
        """The request's id."""
        self._last += 1
        identity = 0 if kind == "signal" else self._last
        lines = b"".join(
            name.encode() + b" " + os.fsencode(str(value)).replace(b"\\", b"\\\\").replace(
                b"\n", b"\\n") + b"\n" for name, value in fields)
        payload = b"%s %d %d\n%s" % (kind.encode(), identity, len(fields), lines)
        try:
            self._socket.sendall(b"%d:" % len(payload))
            sent = socket.send_fds(self._socket, [payload], streams) if streams else 0
            self._socket.sendall(payload[sent:] + b",")
        except BrokenPipeError:
            pass  # it has gone; so receive says
        return identity

    def receive(self) -> tuple[str, int, list[tuple[str, str]]]:
        while True:
            length, colon, rest = self._received.partition(b":")
            if colon and len(rest) > int(length):
                break
            try:
                data = self._socket.recv(65536)
            except ConnectionResetError:  # it has not read what was sent
                data = b""
            if not data:
                raise EOFError("the worker has closed the connection")
            self._received += data
        payload, self._received = rest[:int(length)], rest[int(length) + 1:]
        head, *lines = payload.decode(errors="surrogateescape").split("\n")[:-1]
        kind, identity, _ = head.split(" ")
        fields = [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]
        return kind, int(identity), fields

    def ask(self, kind: str, fields: list[tuple[str, Any]],
            streams: list[int] = []) -> tuple[str, dict[str, str]]:
        identity = self.send(kind, fields, streams)
        kind, answered, answer = self.receive()
        assert answered == identity, (answered, identity)
        return kind, dict(answer)

    def start(self, arguments: list[str], environment: dict[str, str], directory: str,
              umask: int, streams: list[int]) -> int:
        fields: list[tuple[str, Any]] = [("arg", word) for word in arguments]
        fields += [("cwd", directory), ("umask", "%04o" % umask), ("clear-env", "")]
        fields += [("env", "%s=%s" % item) for item in environment.items()]
        return self.send("argv", fields, streams)
