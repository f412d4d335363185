# SPDX-License-Identifier: MIT
"""Workers with one defect each, made from the good one of sdk/python; and clients.

broken.py DEFECT: be a worker (or, `client-…`, a client) with that defect. conform_test.py sees that
conform.py notices it.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Callable

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[1:1] = [os.path.join(HERE, "tools"), os.path.join(HERE, "../../sdk/python")]

import client  # noqa: E402
import contract  # noqa: E402
import prewarm  # noqa: E402
from prewarm import _answers, _invocation, _message, _serve, _streams, _transport  # noqa: E402

Patch = Callable[[], None]
DEFECTS: dict[str, tuple[Patch, str]] = {}  # and the check that must fail


def defect(check: str) -> Callable[[Patch], Patch]:
    def register(patch: Patch) -> Patch:
        DEFECTS[patch.__name__.replace("_", "-")] = (patch, check)
        return patch
    return register


@defect("echo-odd-bytes")
def escapes_nothing() -> None:
    _message._ESCAPE = _message.re.compile(rb"(?!)")


@defect("environment-does-not-stay")
def keeps_environment() -> None:
    def add_only(wanted: dict[bytes, bytes]) -> None:
        os.environb.update(wanted)
    _invocation.set_environment = add_only


@defect("environment-without-protocol")
def keeps_variables() -> None:
    original = _serve.from_environment

    def keeping() -> Any:
        saved = dict(os.environb)
        transport = original()
        os.environb.update(saved)
        return transport
    _serve.from_environment = keeping


@defect("directory-that-is-not")
def runs_anywhere() -> None:
    def lenient(self: Any, invocation: Any) -> None:
        try:
            os.chdir(invocation.cwd or b".")
        except OSError:
            pass
    _invocation.Base.enter_directory = lenient


@defect("changes-do-not-stay")
def keeps_umask() -> None:
    def leave(self: Any) -> None:
        self.umask = os.umask(0)
        os.umask(self.umask)
        os.fchdir(self.directory)
    _invocation.Base.leave = leave


@defect("output-before-answer")
def does_not_flush() -> None:
    # What nobody refers to any more would be written out at once.
    kept: list[Any] = []
    _streams.write_out = lambda: not kept.append((sys.stdout, sys.stderr))


@defect("input-end-of-file")
def holds_pipes() -> None:
    _serve.silence = lambda: None


@defect("exit-codes")
def always_succeeds() -> None:
    _serve._Status.fields = lambda self: [(b"exit", b"0")]


@defect("end-of-file")
def bad_end() -> None:
    original = _transport.Capers.read

    def read(self: Any) -> bool:
        if not original(self):
            sys.exit(3)
        return True
    _transport.Capers.read = read


@defect("bad-packets")
def forgives_commas() -> None:
    original = _transport.PacketReader.feed

    def feed(self: Any, data: bytes, *rest: Any) -> None:
        original(self, data.replace(b";", b","), *rest)
    _transport.PacketReader.feed = feed


@defect("wrong-descriptors")
def leaks_descriptors() -> None:
    _transport.Request.close = lambda self: None


@defect("packet-in-pieces")
def wants_whole_packets() -> None:
    original = _transport.PacketReader.next

    def next_packet(self: Any) -> Any:
        packet = original(self)
        if packet is None and self._buffer:
            raise _message.NotAMessage("in pieces")
        return packet
    _transport.PacketReader.next = next_packet


@defect("echo-nothing")
def answers_twice() -> None:
    original = _transport.Capers.send

    def send(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        original(self, *arguments)
    _transport.Capers.send = send


@defect("unknown-request")
def knows_everything() -> None:
    original = _serve.answer

    def answer(message: Any, *rest: Any) -> Any:
        kind, fields = original(message, *rest)
        return (b"status", [(b"exit", b"0")]) if kind == b"error" else (kind, fields)
    _serve.answer = answer


@defect("version-none-in-common")
def speaks_any_version() -> None:
    _serve.answer = lambda message, *rest: (
        (b"version", [(b"version", b"1")]) if message.type == b"version"
        else _answers.answer(message, *rest))


@defect("version-answer")
def hangs() -> None:
    _transport.Capers.send = lambda self, *arguments: time.sleep(3600)


# ---- clients -------------------------------------------------------------------------------------


@defect("client-exit-codes")
def client_forgets_status() -> None:
    original = client.main
    client.main = lambda: original() and 1


@defect("client-request")
def client_forgets_directory() -> None:
    original = client.invocation
    client.invocation = lambda *arguments: [
        field for field in original(*arguments) if field[0] != "cwd"]


@defect("client-descriptors")
def client_sends_no_descriptors() -> None:
    original = client.ask
    client.ask = lambda *arguments: original(*arguments[:5])


@defect("client-server-dies")
def client_runs_twice() -> None:
    original = client.main

    def main() -> int:
        status = original()
        if status == 125:
            os.execv(sys.argv[2], sys.argv[2:])
        return status
    client.main = main


if __name__ == "__main__":
    name = sys.argv.pop(1)
    DEFECTS[name][0]()
    if name.startswith("client-"):
        sys.exit(client.main())
    prewarm.serve(contract.main)
