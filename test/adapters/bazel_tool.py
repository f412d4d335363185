#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A Bazel-style persistent worker for tests, in both encodings, and its faults.

    bazel_tool.py json|proto [HOW] --persistent_worker

Encodings are written out by hand, from Bazel's public documentation.
"""

import json
import os
import signal
import sys
import threading


def read_varint(stream):
    value = shift = 0
    while True:
        byte = stream.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return value


def varint(value):
    value &= (1 << 64) - 1
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(data + bytes([value]))


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def read(self, count):
        part = self.data[self.at : self.at + count]
        self.at += count
        return part


def read_proto():
    length = read_varint(sys.stdin.buffer)
    if length is None:
        return None
    stream = Bytes(sys.stdin.buffer.read(length))
    request = {"arguments": [], "requestId": 0, "cancel": False}
    while stream.at < length:
        key = read_varint(stream)
        if key == 1 << 3 | 2:
            request["arguments"].append(stream.read(read_varint(stream)).decode())
        elif key == 3 << 3:
            request["requestId"] = read_varint(stream)
        elif key == 4 << 3:
            request["cancel"] = bool(read_varint(stream))
        else:
            sys.exit(f"key {key}")
    return request


def write_proto(exit_code=0, output="", request_id=0, cancelled=False):
    body = b""
    if exit_code:
        body += b"\x08" + varint(exit_code)
    if output:
        body += b"\x12" + varint(len(output.encode())) + output.encode()
    if request_id:
        body += b"\x18" + varint(request_id)
    if cancelled:
        body += b"\x20\x01"
    return varint(len(body)) + body


def read_json():
    line = sys.stdin.buffer.readline()
    return {"requestId": 0, "cancel": False, **json.loads(line)} if line else None


def write_json(exit_code=0, output="", request_id=0, cancelled=False):
    response = {"requestId": request_id, "unknown": [{"a": "}"}]}
    if exit_code:
        response["exitCode"] = exit_code
    if output:
        response["output"] = output
    if cancelled:
        response["wasCancelled"] = True
    return json.dumps(response, indent=2).encode()  # not in a line of its own


class Worker:
    def __init__(self, encoding):
        self.read = read_json if encoding == "json" else read_proto
        self.encode = write_json if encoding == "json" else write_proto
        self.lock = threading.Lock()
        self.cancelled = {}
        self.released = threading.Event()

    def write(self, **fields):
        data = self.encode(**fields)
        with self.lock:
            for at in range(0, len(data), 7):  # in pieces
                sys.stdout.buffer.write(data[at : at + 7])
                sys.stdout.buffer.flush()

    def serve(self, request):
        command, *rest = request["arguments"] or ["nothing"]
        number = request["requestId"]
        if command.startswith("@"):
            with open(command[1:], encoding="utf-8") as file:
                command, *rest = file.read().splitlines()
        output, code = "", 0
        if command == "say":
            output = " ".join(rest) + "\n"
        elif command == "fail":
            output, code = "failed\n", int(rest[0])
        elif command == "big":
            output = "x" * int(rest[0])
        elif command == "where":
            output = os.getcwd() + "\n"
        elif command == "make":
            os.close(os.open(rest[0], os.O_CREAT | os.O_WRONLY, 0o666))
        elif command == "exit":
            os._exit(int(rest[0]))
        elif command == "kill":
            os.kill(os.getpid(), int(rest[0]))
        elif command == "garbage":
            sys.stdout.buffer.write(b"\xff" * 20)
            sys.stdout.buffer.flush()
            return
        elif command == "twice":
            self.write(request_id=number)
        elif command == "release":
            self.released.set()
        elif command == "wait":
            with open(rest[0], "w", encoding="ascii") as file:
                file.write("waiting\n")
            self.released.wait()
            output = "waited\n"
        elif command == "hang":
            with open(rest[0], "w", encoding="ascii") as file:
                file.write("hanging\n")
            event = self.cancelled.setdefault(number, threading.Event())
            event.wait()
            return self.write(request_id=number, cancelled=True)
        self.write(exit_code=code, output=output, request_id=number)

    def run(self):
        while (request := self.read()) is not None:
            if request["cancel"]:
                self.cancelled.setdefault(request["requestId"], threading.Event()).set()
            else:
                threading.Thread(target=self.serve, args=[request], daemon=True).start()
        os._exit(0)


def main():
    if sys.argv[-1] != "--persistent_worker":
        sys.exit("not as a worker")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if len(sys.argv) > 3 and sys.argv[2] == "dies":
        sys.exit(4)
    if len(sys.argv) > 3 and sys.argv[2] == "reads-nothing":
        signal.pause()
    Worker(sys.argv[1]).run()


if __name__ == "__main__":
    main()
