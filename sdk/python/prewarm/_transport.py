# SPDX-License-Identifier: MIT
"""The two ways in which messages come: Capers (a socket) and FCLI (two FIFOs).

Both have the same face: read() reads what is there, once, and waits for it if need be; next() takes
a whole request out of what was read. So one loop can wait in read(), and another in a selector.
"""

from __future__ import annotations

import array
import fcntl
import os
import re
import socket

from prewarm._message import (
    MAX_BYTES, Message, NotAMessage, parse, read_field, read_header, write)

_LENGTH = re.compile(rb"([1-9][0-9]{0,8}|0):")
_LENGTH_BYTES = 10  # with the colon
# More than three, so that a fourth is counted and not only cut off.
_ANCILLARY = socket.CMSG_SPACE(8 * array.array("i").itemsize)
# Out of the way: a tool gets the numbers that it would get without us.
_FIRST_DESCRIPTOR = 64


class Refused(Exception):
    """The tool isn't run: `error` with this reason."""

    def __init__(self, reason: bytes, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def keep(fd: int) -> int:
    """A copy of a descriptor with a large number and close-on-exec; closes the other."""
    copy = copy_high(fd)
    if copy != fd:
        os.close(fd)
    return copy


def copy_high(fd: int) -> int:
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
    except OSError:  # the limit is as low as that
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


class Request:
    """A message, and what came with it. Who takes `descriptors` out closes them."""

    def __init__(self, message: Message, descriptors: list[int], whole: bool) -> None:
        self.message = message
        self.descriptors = descriptors
        self.whole = whole

    def close(self) -> None:
        while self.descriptors:
            os.close(self.descriptors.pop())


class PacketReader:
    """Takes FANOS packets apart. Bytes and descriptors go in as they were received."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._consumed = 0
        # (offset of the last byte that came with them, descriptors, whether all were there)
        self._arrived: list[tuple[int, list[int], bool]] = []

    def feed(self, data: bytes, descriptors: list[int], whole: bool = True) -> None:
        self._buffer += data
        if descriptors or not whole:
            # The kernel ends a read behind the part that carries descriptors, so they belong to the
            # packet of the last byte; bytes before may be an earlier packet's.
            last = self._consumed + len(self._buffer) - 1
            self._arrived.append((last, descriptors, whole))

    def next(self) -> tuple[bytes, list[int], bool] | None:
        """Payload, descriptors and whether none was lost; None if more has to be read."""
        match = _LENGTH.match(self._buffer[:_LENGTH_BYTES])
        if not match:
            head = bytes(self._buffer[:_LENGTH_BYTES])
            if len(head) == _LENGTH_BYTES or b":" in head or (
                    head and (not head.isdigit() or (head[:1] == b"0" and len(head) > 1))):
                raise NotAMessage("not a length")
            return None
        length, start = int(match[1]), match.end()
        if length > MAX_BYTES:
            raise NotAMessage("a packet too large")
        end = start + length
        if len(self._buffer) <= end:
            return None
        if self._buffer[end] != ord(","):
            raise NotAMessage("no comma behind the payload")
        payload = bytes(self._buffer[start:end])
        del self._buffer[:end + 1]
        self._consumed += end + 1
        descriptors: list[int] = []
        whole = True
        while self._arrived and self._arrived[0][0] < self._consumed:
            _, some, complete = self._arrived.pop(0)
            descriptors += some
            whole = whole and complete
        return payload, descriptors, whole

    def between_packets(self) -> bool:
        return not self._buffer

    def close(self) -> None:
        for _, descriptors, _ in self._arrived:
            for fd in descriptors:
                os.close(fd)
        self._arrived.clear()


class Capers:
    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=keep(fd))
        self._reader = PacketReader()

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> bool:
        """Waits for bytes. False at the end of everything."""
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(
                65536, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:  # the driver has gone and left answers of ours unread
            data, ancillary, flags = b"", [], 0
        descriptors = array.array("i")
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content[:len(content) - len(content) % descriptors.itemsize])
        if not data:
            if not self._reader.between_packets():
                raise NotAMessage("end of file inside a packet")
            return False
        self._reader.feed(data, list(descriptors), not flags & socket.MSG_CTRUNC)
        return True

    def next(self) -> Request | None:
        packet = self._reader.next()
        if packet is None:
            return None
        payload, descriptors, whole = packet
        request = Request(parse(payload), descriptors, whole)
        if request.message.type != b"argv":
            request.close()
        return request

    def streams(self, request: Request) -> list[int]:
        """Standard input, output and error of an invocation, now the caller's."""
        if len(request.descriptors) != 3 or not request.whole:
            request.close()
            raise Refused(b"descriptors", "an invocation needs three descriptors")
        streams, request.descriptors = request.descriptors, []
        return streams

    def send(self, type_: bytes, identity: int, fields: list[tuple[bytes, bytes]]) -> None:
        payload = write(type_, identity, fields)
        try:
            self._socket.sendall(b"%d:%s," % (len(payload), payload), socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the driver has gone; the next read says so

    def close(self) -> None:
        self._reader.close()
        self._socket.close()


class Fcli:
    def __init__(self, requests: bytes, answers: bytes) -> None:
        self._in = keep(os.open(requests, os.O_RDONLY | os.O_CLOEXEC))
        self._out = keep(os.open(answers, os.O_WRONLY | os.O_CLOEXEC))
        self._buffer = bytearray()
        self._searched = 0
        self._header: tuple[bytes, int, int] | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._size = 0

    def fileno(self) -> int:
        return self._in

    def read(self) -> bool:
        data = os.read(self._in, 65536)
        if not data:
            if self._buffer or self._header:
                raise NotAMessage("end of file inside a message")
            return False
        self._buffer += data
        return True

    def next(self) -> Request | None:
        while True:
            if self._header and len(self._fields) == self._header[2]:
                message = Message(self._header[0], self._header[1], self._fields)
                self._header, self._fields, self._size = None, [], 0
                return Request(message, [], True)
            line = self._line()
            if line is None:
                return None
            if self._header:
                self._fields.append(read_field(line))
            else:
                self._header = read_header(line)

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._searched)
        if self._size + (len(self._buffer) if end < 0 else end + 1) > MAX_BYTES:
            raise NotAMessage("a message too large")
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[:end + 1]
        self._searched = 0
        self._size += end + 1
        return line

    def streams(self, request: Request) -> list[int | None]:
        """As in Capers; None is the stream with which the worker was started."""
        streams: list[int | None] = []
        names = [request.message.get(name) for name in (b"stdin", b"stdout", b"stderr")]
        try:
            for place, path in enumerate(names):
                if path is None:
                    streams.append(None)
                elif place == 2 and path == names[1]:
                    streams.append(os.dup(streams[1]))
                else:
                    mode = os.O_WRONLY if place else os.O_RDONLY
                    streams.append(os.open(path, mode | os.O_CLOEXEC))
        except OSError as error:
            for fd in streams:
                if fd is not None:
                    os.close(fd)
            raise Refused(b"descriptors", str(error)) from None
        return streams

    def send(self, type_: bytes, identity: int, fields: list[tuple[bytes, bytes]]) -> None:
        rest = memoryview(write(type_, identity, fields))
        try:
            while rest:
                rest = rest[os.write(self._out, rest):]
        except BrokenPipeError:
            pass  # as above

    def close(self) -> None:
        os.close(self._in)
        os.close(self._out)


def from_environment() -> Capers | Fcli | None:
    """The driver's end, if this process was started as a worker. Removes the variables."""
    environment = os.environb
    fd = environment.pop(b"CAPERS_FD", None)
    capers = environment.pop(b"CAPERS_VERSION", None)
    requests = environment.pop(b"FCLI_REQUEST_FIFO", None)
    answers = environment.pop(b"FCLI_RESPONSE_FIFO", None)
    fcli = environment.pop(b"FCLI_VERSION", None)
    if fd is not None and capers is not None:
        return Capers(int(fd))
    if requests is not None and answers is not None and fcli is not None:
        return Fcli(requests, answers)
    return None
