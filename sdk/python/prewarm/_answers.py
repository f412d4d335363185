# SPDX-License-Identifier: MIT
"""What serve() and ready() answer alike: everything but `argv` and `signal`."""

from __future__ import annotations

import sys

from prewarm._invocation import Base, read_env
from prewarm._message import Field, Message, read_number
from prewarm._transport import Refused

Answer = tuple[bytes, list[Field]]

_OK: Answer = (b"status", [(b"exit", b"0")])


def error(reason: bytes, text: str) -> Answer:
    return b"error", [(b"reason", reason), (b"message", text.encode("utf-8", "surrogateescape"))]


def _version(message: Message, features: list[bytes], implementation: str) -> Answer:
    numbers = [read_number(value) for value in message.all(b"version")]
    if None in numbers or not numbers:
        return error(b"message", "version wants numbers")
    if 1 not in numbers:
        return error(b"version", "this worker speaks version 1")
    return b"version", [(b"version", b"1"), (b"implementation", implementation.encode()),
                        *((b"feature", feature) for feature in features)]


def _cd(message: Message, base: Base) -> Answer:
    path = message.get(b"cwd")
    if path is None or not path.startswith(b"/"):
        return error(b"message", "cd wants an absolute path")
    try:
        base.change_directory(path)
    except OSError as failure:
        return b"status", [(b"exit", b"1"), (b"message", str(failure).encode("utf-8", "replace"))]
    return _OK


def _env(message: Message, base: Base) -> Answer:
    try:
        base.environment = read_env(message.fields, base.environment)
    except Refused as refusal:
        return error(refusal.reason, str(refusal))
    return _OK


def answer(message: Message, base: Base, features: list[bytes], version: str | None) -> Answer:
    if message.type == b"version":
        from prewarm import __version__
        implementation = "prewarm-python %s, Python %s" % (__version__, sys.version.split()[0])
        return _version(message, features, version or implementation)
    if message.type == b"echo":
        return b"echo", message.fields
    if message.type == b"flush":
        return _OK
    if message.type == b"cd":
        return _cd(message, base)
    if message.type == b"env":
        return _env(message, base)
    return error(b"unknown-request", "this worker doesn't know " + message.type.decode())
