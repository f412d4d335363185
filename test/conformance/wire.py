# SPDX-License-Identifier: MIT
"""The protocols as the checks write and read them: small, strict, and none of the SDKs' code."""

from __future__ import annotations

import array
import os
import re
import select
import socket
import time

Fields = list[tuple[str, bytes]]


class Violation(Exception):
    """Whoever is under test has done what the protocol doesn't allow, or nothing for too long."""


class Message:
    def __init__(self, type_: str, identity: int, fields: Fields) -> None:
        self.type, self.id, self.fields = type_, identity, fields

    def all(self, name: str) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    def one(self, name: str) -> bytes:
        values = self.all(name)
        if len(values) != 1:
            raise Violation("%r: not exactly one %s" % (self, name))
        return values[0]

    def __repr__(self) -> str:
        return "%s %d %r" % (self.type, self.id, self.fields)


def write(type_: str, identity: int, fields: Fields) -> bytes:
    text = b"%s %d %d\n" % (type_.encode(), identity, len(fields))
    for name, value in fields:
        text += name.encode() + b" " + value.replace(b"\\", b"\\\\").replace(b"\n", b"\\n") + b"\n"
    return text


def _value(text: bytes) -> bytes:
    if re.search(rb"\\(?![\\n])", text.replace(b"\\\\", b"")) or b"\0" in text:
        raise Violation("a value that isn't one: %r" % text)
    return re.sub(rb"\\(.)", lambda m: b"\n" if m[1] == b"n" else m[1], text)


def read(text: bytes) -> Message:
    """Exactly one message."""
    if not text.endswith(b"\n"):
        raise Violation("a message without its last line feed: %r" % text[-60:])
    header, *lines = text[:-1].split(b"\n")
    match = re.fullmatch(rb"([a-z][a-z0-9-]{0,30}) (0|[1-9][0-9]*) (0|[1-9][0-9]*)", header)
    if not match or int(match[3]) != len(lines) or int(match[2]) > 2 ** 32 - 1:
        raise Violation("not a header, or another number of fields: %r" % header)
    fields: Fields = []
    for line in lines:
        field = re.fullmatch(rb"([a-z][a-z0-9-]{0,30}) (.*)", line, re.DOTALL)
        if not field:
            raise Violation("not a field: %r" % line)
        fields.append((field[1].decode(), _value(field[2])))
    return Message(match[1].decode(), int(match[2]), fields)


def packet(payload: bytes) -> bytes:
    return b"%d:%s," % (len(payload), payload)


def send_packet(sock: socket.socket, payload: bytes, descriptors: list[int] | None = None) -> None:
    """As FANOS does: the length, and then the payload with the descriptors."""
    sock.sendall(b"%d:" % len(payload), socket.MSG_NOSIGNAL)
    ancillary = []
    if descriptors:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    sent = sock.sendmsg([payload], ancillary, socket.MSG_NOSIGNAL)
    sock.sendall(payload[sent:] + b",", socket.MSG_NOSIGNAL)


def wait_readable(fd: int, deadline: float, what: str) -> None:
    left = min(deadline - time.monotonic(), 1e6)
    if left <= 0 or not select.select([fd], [], [], left)[0]:
        raise Violation("nothing came in time: " + what)


class PacketReader:
    """One packet after another from a socket; end of file is None."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._buffer, self.descriptors = sock, b"", []

    def next(self, deadline: float, what: str) -> bytes | None:
        while True:
            match = re.match(rb"(0|[1-9][0-9]{0,8}):", self._buffer)
            if match and len(self._buffer) > match.end() + int(match[1]):
                end = match.end() + int(match[1])
                if self._buffer[end:end + 1] != b",":
                    raise Violation("no comma behind a packet")
                payload, self._buffer = self._buffer[match.end():end], self._buffer[end + 1:]
                return payload
            is_number = re.match(rb"[0-9]{0,9}(:|$)", self._buffer)
            if not match and len(self._buffer) > 9 or not is_number:
                raise Violation("not a packet: %r" % self._buffer[:60])
            if not self._read(deadline, what):
                return None

    def _read(self, deadline: float, what: str) -> bool:
        wait_readable(self._sock.fileno(), deadline, what)
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(
                65536, socket.CMSG_SPACE(64), socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return False
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(content)
                self.descriptors += numbers
        if flags & socket.MSG_CTRUNC:
            raise Violation("too many descriptors at once")
        if not data and self._buffer:
            raise Violation("end of file inside a packet")
        self._buffer += data
        return bool(data)


class LineReader:
    """One FCLI message after another from a descriptor; end of file is None."""

    def __init__(self, fd: int) -> None:
        self._fd, self._buffer = fd, b""

    def _line(self, deadline: float, what: str) -> bytes | None:
        while b"\n" not in self._buffer:
            wait_readable(self._fd, deadline, what)
            data = os.read(self._fd, 65536)
            if not data:
                if self._buffer:
                    raise Violation("end of file inside a line")
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def next(self, deadline: float, what: str) -> bytes | None:
        header = self._line(deadline, what)
        if header is None:
            return None
        match = re.fullmatch(rb"\S+ \S+ ([0-9]{1,6})\n", header)
        if not match:
            raise Violation("not a header: %r" % header)
        lines = [header]
        for _ in range(int(match[1])):
            line = self._line(deadline, what)
            if line is None:
                raise Violation("end of file inside a message")
            lines.append(line)
        return b"".join(lines)
