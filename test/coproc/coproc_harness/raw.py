# SPDX-License-Identifier: MIT
"""A client of the owner of pools that writes what it wants, byte by byte."""

import os
import socket

from faults_harness.cases import Failed


def packet(payload):
    data = payload if isinstance(payload, bytes) else payload.encode("utf-8", "surrogateescape")
    return b"%d:%s," % (len(data), data)


def message(kind, number, *fields):
    """`fields`: "name value", escaped already."""
    return f"{kind} {number} {len(fields)}\n" + "".join(f"{field}\n" for field in fields)


class RawClient:
    def __init__(self, path, greet=True, seconds=20):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(seconds)
        self.socket.connect(str(path))
        self.buffer = b""
        if greet:
            self.send(packet(message("version", 1, "version 1")))
            answer = self.answer()
            if not answer.startswith("version 1 "):
                raise Failed(f"the owner greets with {answer!r}")

    def send(self, data, descriptors=()):
        if descriptors:
            sent = socket.send_fds(self.socket, [data], list(descriptors))
            self.socket.sendall(data[sent:])
        else:
            self.socket.sendall(data)

    def ask(self, number, tool, *arguments, descriptors=None, fields=()):
        """An invocation with /dev/null as its streams, unless there are `descriptors`."""
        fields = [
            f"arg {tool}",
            *(f"arg {a}" for a in arguments),
            f"program {tool}",
            "cwd /",
            *fields,
        ]
        null = os.open(os.devnull, os.O_RDWR)
        try:
            streams = [null] * 3 if descriptors is None else descriptors
            self.send(packet(message("argv", number, *fields)), streams)
        finally:
            os.close(null)

    def answer(self):
        """The next message's text; "" at the end of the connection."""
        while True:
            length, colon, rest = self.buffer.partition(b":")
            if colon and len(rest) > int(length):
                self.buffer = rest[int(length) + 1 :]
                return rest[: int(length)].decode("utf-8", "surrogateescape")
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return ""
            if not data:
                return ""
            self.buffer += data

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
