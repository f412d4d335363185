# SPDX-License-Identifier: MIT
"""Processes that these tests look at, and the streams of a run."""

from __future__ import annotations

import os
import tempfile
import time
from typing import Any, Callable

from capers import LIMIT_SECONDS


def wait_until(condition: Callable[[], Any]) -> Any:
    """Until it is true. The event is somebody else's, so it is looked for."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError("it has not come about")
        time.sleep(0.002)
    return result


def members(session: int) -> list[int]:
    """Processes of a session that have not ended, in the order in which they began."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % name) as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append((int(fields[19]), int(name)))
    return [pid for _, pid in sorted(found)]


def held(session: int) -> list[int]:
    """Of which copies are made, and its copies."""
    found = []
    for pid in members(session):
        try:
            with open("/proc/%d/comm" % pid) as comm:
                if comm.read() == "prewarm-parked\n":
                    found.append(pid)
        except OSError:
            pass
    return found


def status_of(returncode: int) -> dict[str, str]:
    return {"signal": str(-returncode)} if returncode < 0 else {"exit": str(returncode)}


class Streams:
    """Standard streams of a run, and what came out of them."""

    def __init__(self, standard_input: bytes = b"", joined: bool = False) -> None:
        self._files = [tempfile.TemporaryFile() for _ in range(3)]
        self._files[0].write(standard_input)
        self._files[0].seek(0)
        self.descriptors = [file.fileno() for file in self._files]
        if joined:
            self.descriptors[2] = self.descriptors[1]

    def results(self) -> list[str]:
        texts = []
        for file in self._files[1:]:
            file.seek(0)
            texts.append(file.read().decode(errors="surrogateescape"))
            file.close()
        self._files[0].close()
        return texts
