#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""FANOS between Oils' client/py_fanos.py (in the directory, or the file, PY_FANOS) and sdk/python.

Both ways: what theirs sends is read by ours, descriptors and all, and the other way round.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import types

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../sdk/python"))

from prewarm._message import parse, write  # noqa: E402
from prewarm._transport import Capers  # noqa: E402

SKIPPED = 77


def load() -> types.ModuleType | None:
    path = os.environ.get("PY_FANOS", "")
    if os.path.isdir(path):
        path = os.path.join(path, "py_fanos.py")
    if not os.path.isfile(path):
        return None
    spec = importlib.util.spec_from_file_location("py_fanos", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def same_file(a: int, b: int) -> bool:
    return os.path.sameopenfile(a, b)


def theirs_to_ours(fanos: types.ModuleType) -> None:
    ours, theirs = socket.socketpair()
    transport = Capers(ours.detach())
    files = [os.open(path, os.O_RDONLY) for path in ("/dev/null", "/dev/zero", "/etc/passwd")]
    payload = write(b"argv", 7, [(b"arg", b"tool"), (b"arg", b"line\nfeed")])
    with theirs:
        fanos.send(theirs, payload, fds=files)
        fanos.send(theirs, write(b"echo", 8, []))
        received = []
        while len(received) < 2:
            request = transport.next()
            if request is not None:
                received.append(request)
            elif not transport.read():
                raise SystemExit("end of file")
        assert received[0].message == parse(payload)
        assert received[1].message.type == b"echo" and not received[1].descriptors
        streams = transport.streams(received[0])
        assert all(same_file(a, b) for a, b in zip(streams, files))
    transport.close()
    for fd in files + streams:
        os.close(fd)


def ours_to_theirs(fanos: types.ModuleType) -> None:
    ours, theirs = socket.socketpair()
    transport = Capers(ours.detach())
    with theirs:
        descriptors: list[int] = []
        transport.send(b"status", 7, [(b"exit", b"0"), (b"message", b"\\\n\xff")])
        answer = b"status 7 2\nexit 0\nmessage \\\\\\n\xff\n"
        assert fanos.recv(theirs, fd_out=descriptors) == answer
        assert not descriptors
        transport.close()
        assert fanos.recv(theirs) is None


def main() -> int:
    fanos = load()
    if fanos is None:
        print("skipped: PY_FANOS does not name Oils' py_fanos.py")
        return SKIPPED
    theirs_to_ours(fanos)
    ours_to_theirs(fanos)
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
