# SPDX-License-Identifier: MIT
"""Messages of the coprocess protocols, version 1 (docs/protocol/messages.md). Bytes only."""

from __future__ import annotations

import re
from typing import Iterable, NamedTuple

MAX_BYTES = 8_388_608
MAX_FIELDS = 131_072

Field = tuple[bytes, bytes]

_HEADER = re.compile(rb"([a-z][a-z0-9-]{0,30}) (0|[1-9][0-9]{0,9}) (0|[1-9][0-9]{0,5})")
_NAME = re.compile(rb"[a-z][a-z0-9-]{0,30}")
_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)
_NUMBER = re.compile(rb"0|[1-9][0-9]{0,9}")
_MEANING = {b"\\": b"\\", b"n": b"\n"}
_MAX_ID = 4_294_967_295


class NotAMessage(Exception):
    """What was received is no message; where the next one begins can't be known."""


class Message(NamedTuple):
    type: bytes
    id: int
    fields: list[Field]

    def get(self, name: bytes) -> bytes | None:
        """The value of the field that occurs once: the last one, or None."""
        for candidate, value in reversed(self.fields):
            if candidate == name:
                return value
        return None

    def all(self, name: bytes) -> list[bytes]:
        return [value for candidate, value in self.fields if candidate == name]


def read_number(value: bytes | None) -> int | None:
    """A decimal number as the protocol writes them, or None."""
    return int(value) if value is not None and _NUMBER.fullmatch(value) else None


def read_header(line: bytes) -> tuple[bytes, int, int]:
    """Type, id and number of fields, of a line without its line feed."""
    match = _HEADER.fullmatch(line)
    if not match:
        raise NotAMessage("not a header")
    identity, count = int(match[2]), int(match[3])
    if identity > _MAX_ID or count > MAX_FIELDS:
        raise NotAMessage("a number too large")
    return match[1], identity, count


def read_field(line: bytes) -> Field:
    name, blank, value = line.partition(b" ")
    if not blank or not _NAME.fullmatch(name) or b"\0" in value:
        raise NotAMessage("not a field")
    return name, _ESCAPE.sub(_unescape, value) if b"\\" in value else value


def _unescape(match: re.Match[bytes]) -> bytes:
    meaning = _MEANING.get(match[1])
    if meaning is None:
        raise NotAMessage("not an escape")
    return meaning


def parse(payload: bytes) -> Message:
    """Exactly one message."""
    if len(payload) > MAX_BYTES or not payload.endswith(b"\n"):
        raise NotAMessage("too long, or cut off")
    header, *lines = payload[:-1].split(b"\n")
    type_, identity, count = read_header(header)
    if count != len(lines):
        raise NotAMessage("another number of fields than announced")
    return Message(type_, identity, [read_field(line) for line in lines])


def write(type_: bytes, identity: int, fields: Iterable[Field]) -> bytes:
    lines = []
    for name, value in fields:
        if b"\\" in value:
            value = value.replace(b"\\", b"\\\\")
        if b"\n" in value:
            value = value.replace(b"\n", b"\\n")
        lines.append(b"%s %s\n" % (name, value))
    return b"%s %d %d\n%s" % (type_, identity, len(lines), b"".join(lines))
