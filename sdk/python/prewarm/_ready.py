# SPDX-License-Identifier: MIT
"""ready(): the process is held at this point, and each invocation is a fork of it.

The one that is held serves requests; in each child ready() returns, with everything in place that a
fresh start with these arguments would have, and the program goes on.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import sys
import threading
import types
from typing import Any, Callable, NoReturn

from prewarm._answers import answer, error
from prewarm._invocation import Base, Invocation, silence
from prewarm._message import Field, Message, NotAMessage, read_number
from prewarm._transport import Capers, Fcli, Refused, Request, from_environment

_CONCURRENT = 64
_FEATURES = [b"fresh", b"signal", b"concurrent %d" % _CONCURRENT]


def ready(main: Callable[[], Any] | None = None, *, version: str | None = None) -> bool:
    """Returns at once, and False, in a batch run; as a worker, True, in each invocation's process.

    Call it once, after the imports and before anything that depends on arguments, environment,
    directory or standard streams, and while there is no second thread. `version` is what the worker
    says of itself, for people.

    With `main` it never returns: sys.exit(main()), in a batch run and in each invocation's process.
    There that is quicker than to return, as the interpreter needn't be taken apart if nobody could
    tell.
    """
    served = _hold(version)
    if main is None:
        return served
    try:
        sys.exit(main())
    except SystemExit as end:
        if not served:
            raise
        code = end.code
    from prewarm import _ready_end  # only here, and in what is held: a batch run should start soon
    _ready_end.leave(code)


def _hold(version: str | None) -> bool:
    if b"PREWARM_READY" in os.environb:
        from prewarm import _ready_agent  # only here, because ctypes takes a while
        if _ready_agent.try_ready():
            return True
    transport = from_environment()
    if transport is None:
        return False
    if threading.active_count() > 1:
        print("prewarm.ready(): there are threads, which a fork would lose", file=sys.stderr)
        sys.exit(1)
    _ForkServer(transport, version).run()
    return True


class _Child:
    def __init__(self, pid: int, identity: int, end: int | None) -> None:
        self.pid, self.id, self.end = pid, identity, end


class _ForkServer:
    def __init__(self, transport: Capers | Fcli, version: str | None) -> None:
        self._transport = transport
        self._version = version
        self._base = Base()
        self._children: dict[int, _Child] = {}  # by id of the request
        self._ends: dict[int, _Child] = {}  # by pidfd
        self._selector = selectors.DefaultSelector()
        self._selector.register(transport, selectors.EVENT_READ)
        self._wake: tuple[int, int] | None = None

    def run(self) -> None:
        """Returns in the process of an invocation only."""
        silence()
        if not _have_pidfd():
            self._wake_by_signal()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, self._terminated)
        gc.collect()
        from prewarm import _ready_end
        _ready_end.at_end()
        gc.freeze()  # so that the children's collector leaves these pages alone
        try:
            while True:
                for key, _ in self._selector.select():
                    if key.fileobj is not self._transport:
                        self._ended(key.fd)
                    elif self._readable():
                        return
        except NotAMessage:
            self._leave(1)

    def _readable(self) -> bool:
        """Serves what has come. True in the process of an invocation."""
        if not self._transport.read():
            self._leave(0)
        while True:
            request = self._transport.next()
            if request is None:
                return False
            if self._serve(request):
                return True

    def _serve(self, request: Request) -> bool:
        message = request.message
        if message.type == b"argv":
            return self._start(request)
        if message.type == b"signal":
            self._signal(message)
        else:
            kind, fields = answer(message, self._base, _FEATURES, self._version)
            self._transport.send(kind, message.id, fields)
        return False

    def _start(self, request: Request) -> bool:
        message = request.message
        streams: list[int | None] = []
        try:
            if message.id in self._children:
                raise Refused(b"message", "an id that is under way")
            if len(self._children) >= _CONCURRENT:
                raise Refused(b"busy", "%d invocations are under way" % _CONCURRENT)
            invocation = Invocation(message, self._base.environment)
            # Here and not in the child, because it may be refused; the child inherits it.
            self._base.enter_directory(invocation)
            streams = self._transport.streams(request)
            pid = self._fork()
        except Refused as refusal:
            kind, fields = error(refusal.reason, str(refusal))
            self._transport.send(kind, message.id, fields)
        else:
            if pid == 0:
                self._become(invocation, streams)
                return True
            self._watch(pid, message.id)
        finally:
            request.close()
        os.fchdir(self._base.directory)
        for fd in streams:
            if fd is not None:
                os.close(fd)
        return False

    def _fork(self) -> int:
        # No handler of ours may run in the child, nor a signal for it be lost.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
        except OSError as failure:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            raise Refused(b"refused", "fork: %s" % failure) from None
        if pid:
            _set_group(pid)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return pid

    def _become(self, invocation: Invocation, streams: list[int | None]) -> None:
        """In the child: everything of the server goes, everything of the invocation comes."""
        _set_group(0)
        self._selector.close()
        self._transport.close()
        for end in self._ends:
            os.close(end)
        if self._wake is not None:
            signal.set_wakeup_fd(-1)
            for fd in self._wake:
                os.close(fd)
        self._base.place(invocation, streams)
        self._base.close()
        self._base.restore_signals()

    # ---- the ends of children ----

    def _watch(self, pid: int, identity: int) -> None:
        end = None
        if self._wake is None:
            end = os.pidfd_open(pid)
        child = _Child(pid, identity, end)
        self._children[identity] = child
        if end is not None:
            self._ends[end] = child
            self._selector.register(end, selectors.EVENT_READ)

    def _wake_by_signal(self) -> None:
        """Without pidfds (Linux before 5.3): SIGCHLD writes to a pipe."""
        self._wake = os.pipe()
        for fd in self._wake:
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._selector.register(self._wake[0], selectors.EVENT_READ)

    def _ended(self, fd: int) -> None:
        if self._wake is not None and fd == self._wake[0]:
            os.read(fd, 4096)
            candidates = list(self._children.values())
        else:
            candidates = [self._ends[fd]]
        for child in candidates:
            self._reap(child)

    def _reap(self, child: _Child) -> None:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid == 0:
            return
        del self._children[child.id]
        if child.end is not None:
            self._selector.unregister(child.end)
            del self._ends[child.end]
            os.close(child.end)
        if os.WIFSIGNALED(status):
            result: Field = (b"signal", b"%d" % os.WTERMSIG(status))
        else:
            result = (b"exit", b"%d" % os.WEXITSTATUS(status))
        self._transport.send(b"status", child.id, [
            result,
            (b"user-us", b"%d" % round(usage.ru_utime * 1e6)),
            (b"system-us", b"%d" % round(usage.ru_stime * 1e6)),
            (b"max-rss-kib", b"%d" % usage.ru_maxrss)])

    def _signal(self, message: Message) -> None:
        child = self._children.get(read_number(message.get(b"request")) or 0)
        number = read_number(message.get(b"signal"))
        # Not reaped, so the group's number is still its own.
        if child is not None and number in signal.valid_signals():
            _send(child, number)

    # ---- the end ----

    def _end_children(self) -> None:
        """Whoever asked for them has gone."""
        for child in self._children.values():
            _send(child, signal.SIGTERM)
            _send(child, signal.SIGCONT)

    def _leave(self, code: int) -> NoReturn:
        self._end_children()
        # Without what the program has registered for its end: it has not begun.
        os._exit(code)

    def _terminated(self, number: int, frame: types.FrameType | None) -> None:
        self._end_children()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _send(child: _Child, number: int) -> None:
    """To its group, or to itself if it has gone to another one. It is ours until it is reaped."""
    try:
        os.killpg(child.pid, number)
    except OSError:
        try:
            os.kill(child.pid, number)
        except PermissionError:
            pass  # it has become another user


def _set_group(pid: int) -> None:
    """By parent and child, so that it is done whichever comes first."""
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass  # the child has done it and has ended, or has gone on to exec


def _have_pidfd() -> bool:
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
