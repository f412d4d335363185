# SPDX-License-Identifier: MIT
"""A Capers server that stands for the owner of workers: it runs each request's program anew, with
the descriptors of the request, and notes what it was asked. Written from docs/protocol alone."""

import array
import os
import queue
import signal
import socket
import struct
import subprocess
import threading


def print_message(kind, number, fields):
    lines = [f"{kind} {number} {len(fields)}\n".encode()]
    for name, value in fields:
        value = value if isinstance(value, bytes) else str(value).encode()
        escaped = value.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
        lines.append(name.encode() + b" " + escaped + b"\n")
    return b"".join(lines)


def parse_message(payload):
    header, *lines = payload.removesuffix(b"\n").split(b"\n")
    kind, number, count = header.decode().split(" ")
    assert int(count) == len(lines), payload
    fields = []
    for line in lines:
        name, _, value = line.partition(b" ")
        parts = [part.replace(b"\\n", b"\n") for part in value.split(b"\\\\")]
        fields.append((name.decode(), b"\\".join(parts)))
    return kind, int(number), fields


class Connection:
    """One conversation. Requests are served as they come, each in a thread."""

    def __init__(self, server, peer):
        self.server, self.peer = server, peer
        self.buffer, self.descriptors = b"", []
        self.lock = threading.Lock()
        self.running = {}

    def receive(self):
        """The next packet and its descriptors; None: the end."""
        while True:
            length, colon, rest = self.buffer.partition(b":")
            if colon and len(rest) > int(length):
                payload, self.buffer = rest[: int(length)], rest[int(length) + 1 :]
                descriptors, self.descriptors = self.descriptors, []
                return payload, descriptors
            data, ancillary, _, _ = self.peer.recvmsg(
                65536, socket.CMSG_SPACE(12), socket.MSG_CMSG_CLOEXEC
            )
            if not data:
                return None
            self.buffer += data
            for _, _, raw in ancillary:
                numbers = array.array("i")
                numbers.frombytes(raw)
                self.descriptors += numbers

    def send(self, kind, number, fields):
        payload = print_message(kind, number, fields)
        with self.lock:
            self.peer.sendall(b"%d:%s," % (len(payload), payload))

    def serve(self):
        try:
            while packet := self.receive():
                kind, number, fields = parse_message(packet[0])
                if kind == "version":
                    features = [("feature", "concurrent 64"), ("feature", "signal")]
                    self.send("version", number, [("version", 1), *features])
                    if self.server.mode == "unread":
                        self.peer.recv(1, socket.MSG_PEEK)
                        return
                elif kind == "signal":
                    self.signal({name: int(value) for name, value in fields})
                elif kind == "argv":
                    self.server.note(fields)
                    if not self.server.take(self, number, fields, packet[1]):
                        return
        except OSError:
            pass
        finally:
            # The driver cancels what was asked through a connection that has gone.
            with self.lock:
                for process in self.running.values():
                    os.killpg(process.pid, signal.SIGKILL)
            self.peer.close()

    def signal(self, fields):
        self.server.signals.append(fields["signal"])
        with self.lock:
            process = self.running.get(fields["request"])
            if process is not None:
                os.killpg(process.pid, fields["signal"])

    def run(self, number, fields, streams):
        values = dict(fields)
        environment = dict(value.split(b"=", 1) for name, value in fields if name == "env")
        arguments = [value for name, value in fields if name == "arg"]
        # Before the program, which others may see run before this goes on.
        started = queue.SimpleQueue()
        finishing = threading.Thread(target=self.finish, args=(number, started), daemon=True)
        finishing.start()
        self.server.finishing.append(finishing)
        with self.lock:
            process = subprocess.Popen(
                arguments, executable=values["program"], cwd=values["cwd"], env=environment,
                umask=int(values["umask"], 8), start_new_session=True,
                stdin=streams[0], stdout=streams[1], stderr=streams[2],
            )  # fmt: skip
            self.running[number] = process
        started.put(process)
        for descriptor in streams:
            os.close(descriptor)

    def finish(self, number, started):
        process = started.get()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self.lock:
            del self.running[number]
            status = process.wait()
        try:
            self.send("status", number, [("exit", status) if status >= 0 else ("signal", -status)])
        except OSError:
            pass


class Owner:
    """Serves at `path`. `mode`: "run"; "refuse" answers each request with an error; "vanish" reads
    a request and closes the connection, "vanish with a signal unread" after having sent its client
    a signal that comes back; "unread" closes it with the request unread."""

    def __init__(self, path):
        self.path, self.mode = path, "run"
        self.requests, self.signals, self.finishing = [], [], []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=Connection(self, peer).serve, daemon=True).start()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.path.unlink()

    def note(self, fields):
        self.requests.append(fields)

    def take(self, connection, number, fields, streams):
        """False: the conversation is over."""
        if self.mode == "run":
            connection.run(number, fields, streams)
            return True
        for descriptor in streams:
            os.close(descriptor)
        if self.mode == "vanish with a signal unread":
            credentials = connection.peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            os.kill(struct.unpack("3i", credentials)[0], signal.SIGUSR1)
            connection.peer.recv(1, socket.MSG_PEEK)
        if self.mode.startswith("vanish"):
            return False
        fields = [("reason", "batch"), ("message", "the tool is no worker")]
        connection.send("error", number, fields)
        return True
