# SPDX-License-Identifier: MIT
"""The driver's side of Capers, written from docs/protocol alone: starts an adapter, talks to it."""

import os
import re
import shutil
import socket
import subprocess
import tempfile

LIMIT = 60  # seconds; nothing here takes as long


def escape(value: bytes) -> bytes:
    return value.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")


def unescape(value: bytes) -> bytes:
    return re.sub(rb"\\(.)", lambda m: b"\n" if m[1] == b"n" else m[1], value)


def message(kind: str, number: int, fields) -> bytes:
    lines = [f"{kind} {number} {len(fields)}\n".encode()]
    for name, value in fields:
        value = os.fsencode(value) if isinstance(value, str) else value
        lines.append(name.encode() + b" " + escape(value) + b"\n")
    return b"".join(lines)


def parse(text: bytes):
    header, *lines = text.split(b"\n")
    kind, number, count = header.decode().split(" ")
    assert lines.pop() == b"" and len(lines) == int(count), text
    pairs = (line.split(b" ", 1) for line in lines)
    fields = [(name.decode(), os.fsdecode(unescape(value))) for name, value in pairs]
    return kind, int(number), fields


class Answer:
    def __init__(self, kind, number, fields):
        self.kind, self.id, self.fields = kind, number, dict(fields)
        self.all_fields = fields

    def __repr__(self):
        return f"{self.kind} {self.id} {self.all_fields}"


class Driver:
    """One adapter, the leader of a session of its own."""

    def __init__(self, prewarm, protocol, command, options=(), cwd=None, env=None, stderr=None):
        self.runtime = tempfile.mkdtemp(prefix="prewarm-adapters.")
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(LIMIT)
        self.buffer = b""
        self.last = 0
        environment = {**os.environ, **(env or {}), "PREWARM_RUNTIME_DIR": self.runtime}
        environment |= {"CAPERS_VERSION": "1", "CAPERS_FD": str(theirs.fileno())}
        self.process = subprocess.Popen(
            [prewarm, "adapt", protocol, *options, "--", *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, cwd=cwd,
            env=environment, pass_fds=[theirs.fileno()], start_new_session=True,
        )
        theirs.close()

    # ---- Talking -------------------------------------------------------------------------------

    def send(self, kind, fields=(), descriptors=(), number=None):
        if number is None:
            self.last += 1
            number = self.last
        payload = message(kind, number, list(fields))
        head = str(len(payload)).encode() + b":"
        self.socket.sendall(head)
        if descriptors:
            sent = socket.send_fds(self.socket, [payload], list(descriptors))
            payload = payload[sent:]
        self.socket.sendall(payload + b",")
        return number

    def receive(self):
        while True:
            found = re.match(rb"(\d{1,9}):", self.buffer)
            if found:
                end = found.end() + int(found[1])
                if len(self.buffer) > end:
                    payload, comma = self.buffer[found.end() : end], self.buffer[end : end + 1]
                    self.buffer = self.buffer[end + 1 :]
                    assert comma == b",", comma
                    return Answer(*parse(payload))
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                assert not self.buffer, self.buffer
                return None
            self.buffer += more

    def version(self):
        self.send("version", [("version", "1")])
        return self.receive()

    def invoke(self, *arguments, streams, fields=()):
        """`streams`: three descriptors, which stay the caller's."""
        all_fields = [("arg", a) for a in arguments] + list(fields)
        return self.send("argv", all_fields, streams)

    def signal(self, request, number):
        self.send("signal", [("request", str(request)), ("signal", str(number))], number=0)

    # ---- Looking -------------------------------------------------------------------------------

    def others(self):
        """Processes of the adapter's session but itself."""
        found = {}
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == self.process.pid:
                continue
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == self.process.pid and fields[0] not in b"ZX":
                found[int(name)] = fields[0]
        return found

    def descriptors(self):
        return sorted(os.listdir(f"/proc/{self.process.pid}/fd"), key=int)

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def files(self):
        """FIFOs of requests and other files of the adapter."""
        found = []
        for directory, _, names in os.walk(self.runtime):
            found += [os.path.relpath(os.path.join(directory, n), self.runtime) for n in names]
        return sorted(found)

    # ---- Ending --------------------------------------------------------------------------------

    def close(self):
        """The exit status. Nothing may be left of the adapter."""
        self.socket.close()
        status = self.process.wait(LIMIT)
        left, processes = os.listdir(self.runtime), self.others()
        self.destroy()
        assert not left, left
        assert not processes, processes
        return status

    def destroy(self):
        self.socket.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.runtime, ignore_errors=True)
