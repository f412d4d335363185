# SPDX-License-Identifier: MIT
"""client.py SOCKET TOOL ARGS…: has TOOL run by a Capers server. A small client that conforms."""

from __future__ import annotations

import os
import signal
import socket
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import wire  # noqa: E402


def invocation(tool: str, args: list[str]) -> wire.Fields:
    mask = os.umask(0o022)
    os.umask(mask)
    fields = [("arg", os.fsencode(arg)) for arg in (tool, *args)]
    fields += [("program", os.fsencode(tool)), ("cwd", os.getcwdb()), ("umask", b"%04o" % mask),
               ("clear-env", b"")]
    return fields + [("env", name + b"=" + value) for name, value in os.environb.items()]


def ask(sock: socket.socket, reader: wire.PacketReader, type_: str, identity: int,
        fields: wire.Fields, descriptors: list[int] | None = None) -> wire.Message:
    wire.send_packet(sock, wire.write(type_, identity, fields), descriptors)
    payload = reader.next(float("inf"), "an answer")
    if payload is None:
        raise wire.Violation("the server has gone")
    answer = wire.read(payload)
    if answer.id != identity:
        raise wire.Violation("an answer that was not asked")
    return answer


def main() -> int:
    path, tool, *args = sys.argv[1:]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            reader = wire.PacketReader(sock)
            answer = ask(sock, reader, "version", 1, [("version", b"1")])
            if answer.type == "version":
                answer = ask(sock, reader, "argv", 2, invocation(tool, args), [0, 1, 2])
    except (wire.Violation, OSError) as failure:
        print("client: %s" % failure, file=sys.stderr)
        return 125
    if answer.type == "error":
        os.execv(tool, [tool, *args])
    if answer.type != "status":
        print("client: %r" % answer, file=sys.stderr)
        return 125
    if answer.all("signal"):
        os.kill(os.getpid(), int(answer.one("signal")))
    return int(answer.one("exit"))


if __name__ == "__main__":
    sys.exit(main())
