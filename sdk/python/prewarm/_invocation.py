# SPDX-License-Identifier: MIT
"""One invocation: what a request says of it, and how it is put in place in this process."""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import Mapping

from prewarm import _streams
from prewarm._message import Field, Message
from prewarm._transport import Refused, copy_high, keep

_UMASK = re.compile(rb"0?[0-7]{1,4}")
_SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


def read_env(fields: list[Field], base: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """`base`, or nothing if there is clear-env, with what the env fields set."""
    environment = {} if any(name == b"clear-env" for name, _ in fields) else dict(base)
    for name, value in fields:
        if name == b"env":
            key, equals, content = value.partition(b"=")
            if not key or not equals:
                raise Refused(b"message", "env wants NAME=VALUE")
            environment[key] = content
    return environment


class Invocation:
    def __init__(self, message: Message, base: Mapping[bytes, bytes]) -> None:
        self.argv = message.all(b"arg")
        if not self.argv:
            raise Refused(b"message", "an invocation without arg")
        self.cwd = message.get(b"cwd")
        if self.cwd is not None and not self.cwd.startswith(b"/"):
            raise Refused(b"message", "cwd is no absolute path")
        umask = message.get(b"umask")
        if umask is not None and not _UMASK.fullmatch(umask):
            raise Refused(b"message", "umask is no octal number")
        self.umask = None if umask is None else int(umask, 8) & 0o777
        self.environment = read_env(message.fields, base)


class Base:
    """What every invocation begins with: the state in which the worker waits."""

    def __init__(self) -> None:
        self.environment = dict(os.environb)
        if not _started_with(b"LC_CTYPE"):
            self.environment.pop(b"LC_CTYPE", None)  # Python set it itself: _streams.coerced
        self.encoding = _streams.encoding_of(_streams.locale_name(self.environment))
        self.directory = keep(os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        self.umask = os.umask(0o077)
        os.umask(self.umask)
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        # FCLI: a stream that a request doesn't name is that of the start.
        self.streams = [_copy(fd) for fd in range(3)]

    def change_directory(self, path: bytes) -> None:
        """The `cd` request. Raises OSError, and nothing has changed."""
        directory = keep(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        try:
            os.fchdir(directory)
        except OSError:
            os.close(directory)
            raise
        os.close(self.directory)
        self.directory = directory

    def enter_directory(self, invocation: Invocation) -> None:
        """First of all, because this may be refused."""
        if _streams.encoding_of(_streams.locale_name(invocation.environment)) != self.encoding:
            raise Refused(b"refused", "another locale than that with which Python was started")
        try:
            if invocation.cwd is not None:
                os.chdir(invocation.cwd)
            else:
                os.fchdir(self.directory)
        except OSError as error:
            raise Refused(b"cwd", str(error)) from None

    def place(self, invocation: Invocation, streams: list[int | None]) -> None:
        """Puts an invocation in place, but for its directory; takes the descriptors."""
        for place, fd in enumerate(streams):
            _put(place, self.streams[place] if fd is None else fd)
        for fd in streams:
            if fd is not None and fd > 2:
                os.close(fd)
        os.umask(self.umask if invocation.umask is None else invocation.umask)
        put_in_place(invocation.argv, invocation.environment)

    def leave(self) -> None:
        """Back to waiting: nothing of the invocation stays. Streams, arguments and environment are
        replaced by the next one's."""
        os.fchdir(self.directory)
        os.umask(self.umask)
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.restore_signals()

    def restore_signals(self) -> None:
        for number, handler in self.handlers.items():
            if signal.getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)

    def close(self) -> None:
        os.close(self.directory)
        for fd in self.streams:
            if fd is not None:
                os.close(fd)


def put_in_place(argv: list[bytes], environment: Mapping[bytes, bytes]) -> None:
    """What Python keeps of its start: arguments, environment, and streams over 0, 1 and 2."""
    set_environment(environment)
    sys.argv = [os.fsdecode(argument) for argument in argv]
    _streams.install(environment)


def silence() -> None:
    """/dev/null in the places 0, 1 and 2, so that no end of a pipe stays open here."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for place in range(3):
        _put(place, null)
    if null > 2:
        os.close(null)


def set_environment(wanted: Mapping[bytes, bytes]) -> None:
    """All of os.environ, in place: modules hold on to the object."""
    if _streams.coerced(wanted):
        wanted = {**wanted, b"LC_CTYPE": b"C.UTF-8"}
    current = os.environb
    if list(current.items()) == list(wanted.items()):
        return
    # Rebuilt and not only changed, because the order is the caller's, too.
    for name in list(current):
        del current[name]
    for name, value in wanted.items():
        current[name] = value


def _put(place: int, fd: int | None) -> None:
    if fd is None:  # the worker was started with this one closed
        try:
            os.close(place)
        except OSError:
            pass
    elif fd == place:
        os.set_inheritable(fd, True)
    else:
        os.dup2(fd, place)


def _copy(fd: int) -> int | None:
    try:
        return copy_high(fd)
    except OSError:
        return None


def _started_with(name: bytes) -> bool:
    try:
        with open("/proc/self/environ", "rb") as start:
            return any(entry.startswith(name + b"=") for entry in start.read().split(b"\0"))
    except OSError:
        return True
