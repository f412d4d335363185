# SPDX-License-Identifier: MIT
"""serve(): one process, one invocation after another.

What a batch run's end does beyond writing out (waiting for threads, ending child processes) is left
to the interpreter: an invocation that has started such things ends the worker in earnest, and the
exit is the answer. The next request gets a fresh worker.
"""

from __future__ import annotations

import _thread
import atexit
import fcntl
import gc
import os
import signal
import sys
import threading
import traceback
import types
import warnings
from typing import Any, Callable, NoReturn

from prewarm import _streams
from prewarm._answers import answer, error
from prewarm._invocation import Base, Invocation, silence
from prewarm._message import Field, NotAMessage
from prewarm._transport import Capers, Fcli, Refused, Request, from_environment

Main = Callable[[], Any]


def serve(main: Main, *, version: str | None = None) -> NoReturn:
    """Serve invocations of `main` if a driver has started this process, else be one.

    Never returns. As a batch run: sys.exit(main()). As a worker: main() for each request, with
    sys.argv, os.environ, directory, umask and the standard streams of the caller. `version` is what
    the worker says of itself, for people.
    """
    transport = from_environment()
    if transport is not None:
        _Worker(transport, main, version, sys._getframe(1)).run()
    try:
        status = main()
    except BaseException as failure:
        # Tracebacks are as if the caller had called main.
        if failure.__traceback__ is not None:
            failure.__traceback__ = failure.__traceback__.tb_next
        raise
    sys.exit(status)


class _AtExit:
    """Collects what is registered during an invocation, in place of atexit's own functions.

    A module that took `register` out of atexit before has the real one: the end of the worker.
    """

    def __init__(self) -> None:
        self._register, self._unregister = atexit.register, atexit.unregister
        self._calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

    def begin(self) -> None:
        atexit.register, atexit.unregister = self.register, self.unregister

    def end(self) -> None:
        atexit.register, atexit.unregister = self._register, self._unregister

    def register(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        if not callable(func):
            raise TypeError("the first argument must be callable")
        self._calls.append((func, args, kwargs))
        return func

    def unregister(self, func: Callable[..., Any]) -> None:
        self._calls = [call for call in self._calls if call[0] != func]
        self._unregister(func)

    def run(self) -> None:
        while self._calls:
            func, args, kwargs = self._calls.pop()
            try:
                func(*args, **kwargs)
            except SystemExit:
                pass  # has no say in the status
            except BaseException as failure:
                _report_ignored(func, failure)

    def hand_over(self) -> None:
        """To the interpreter's own end."""
        for func, args, kwargs in self._calls:
            self._register(func, *args, **kwargs)
        self._calls = []


class _Worker:
    def __init__(self, transport: Capers | Fcli, main: Main, version: str | None,
                 caller: types.FrameType) -> None:
        self._transport = transport
        self._main = main
        self._version = version
        self._caller = caller
        self._pid = os.getpid()
        self._atexit = _AtExit()
        self._base = Base()
        self._interrupt = self._base.handlers[signal.SIGINT]
        # Outside an invocation an interrupt has nothing to interrupt: it came too late.
        if self._interrupt is signal.default_int_handler:
            self._base.handlers[signal.SIGINT] = _too_late
            signal.signal(signal.SIGINT, _too_late)
        os.register_at_fork(after_in_child=self._forked)

    def run(self) -> NoReturn:
        silence()
        gc.collect()
        gc.freeze()  # what is here now need not be looked at after each invocation
        try:
            while True:
                request = self._transport.next()
                if request is not None:
                    self._serve(request)
                elif not self._transport.read():
                    sys.exit(0)
        except NotAMessage:
            sys.exit(1)

    def _forked(self) -> None:
        # The child of a tool is no worker. Its end of the socket would hide that of the worker.
        if self._pid != os.getpid():
            self._transport.close()
            self._base.close()
            self._pid = 0

    def _serve(self, request: Request) -> None:
        message = request.message
        if message.type == b"argv":
            kind, fields = self._run(request)
        else:
            kind, fields = answer(message, self._base, [], self._version)
        if kind:
            self._transport.send(kind, message.id, fields)

    def _run(self, request: Request) -> tuple[bytes, list[Field]]:
        try:
            invocation = Invocation(request.message, self._base.environment)
            self._base.enter_directory(invocation)
            streams = self._transport.streams(request)
        except Refused as refusal:
            request.close()
            os.fchdir(self._base.directory)
            return error(refusal.reason, str(refusal))
        self._base.place(invocation, streams)
        flags = [_flags(fd) for fd in range(3)]
        fields = self._invoke()
        for fd, before in enumerate(flags):
            _restore_blocking(fd, before)
        silence()
        _streams.discard()
        self._base.leave()
        return b"status", fields

    def _invoke(self) -> list[Field]:
        """Calls main and does what belongs to its end. Descriptors are still the invocation's."""
        threads = _thread._count()
        hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
        self._atexit.begin()
        status = _Status()
        try:
            # Within the block, so that an interrupt that comes at once is caught.
            signal.signal(signal.SIGINT, self._interrupt)
            # Filters are put back, and warnings that were given once are given again.
            with warnings.catch_warnings():
                status.exited(self._main())
        except SystemExit as end:
            status.exited(end.code)
        except BaseException as failure:
            status.failed(failure, self._caller)
        self._atexit.end()
        if self._pid == 0 or _thread._count() > threads or _children_left():
            self._end_in_earnest(status)
        try:
            self._atexit.run()
        finally:
            signal.signal(signal.SIGINT, self._base.handlers[signal.SIGINT])
            sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
        # Files in cycles that nothing refers to any more are written out, as at a batch run's end.
        gc.collect()
        if not _streams.write_out():
            status.code, status.signal = 120, 0
        return status.fields()

    def _end_in_earnest(self, status: _Status) -> NoReturn:
        gc.unfreeze()  # this is the end of all that is here
        self._atexit.hand_over()
        if status.signal:
            # The interpreter ends and then kills itself; the traceback has been printed.
            sys.excepthook = lambda *failure: None
            raise KeyboardInterrupt
        sys.exit(status.code)


class _Status:
    """How main ended: as the interpreter makes a status of it."""

    def __init__(self) -> None:
        self.code = 0
        self.signal = 0

    def exited(self, code: Any) -> None:
        if code is None:
            self.code = 0
        elif isinstance(code, int):
            # C's exit() takes an int; what doesn't fit is -1.
            self.code = code & 0xFF if -(2 ** 63) <= code < 2 ** 63 else 0xFF
        else:
            self.code = 1
            try:
                if sys.stdout is not None:
                    sys.stdout.flush()
            except Exception:
                pass  # write_out says it
            print(code, file=sys.stderr)

    def failed(self, failure: BaseException, caller: types.FrameType) -> None:
        # The first frame is ours; in its place comes that of who called serve().
        inner = failure.__traceback__ and failure.__traceback__.tb_next
        failure.__traceback__ = types.TracebackType(
            inner, caller, caller.f_lasti, caller.f_lineno)
        self.code = 1
        try:
            sys.excepthook(type(failure), failure, failure.__traceback__)
        except SystemExit as end:
            self.exited(end.code)
            return
        except BaseException:
            sys.__excepthook__(type(failure), failure, failure.__traceback__)
        if isinstance(failure, KeyboardInterrupt):
            self.signal = int(signal.SIGINT)
        # What its frames hold, open files above all, ends now.
        failure.__traceback__ = failure.__context__ = failure.__cause__ = None

    def fields(self) -> list[Field]:
        if self.signal:
            return [(b"signal", b"%d" % self.signal)]
        return [(b"exit", b"%d" % self.code)]


def _report_ignored(func: Callable[..., Any], failure: BaseException) -> None:
    """As the interpreter does. Its own hook takes only what it has made itself."""
    if sys.version_info < (3, 10):
        head = "Error in atexit._run_exitfuncs:"
    elif sys.version_info < (3, 13):
        head = "Exception ignored in atexit callback: %r" % (func,)
    else:
        head = "Exception ignored in atexit callback %r:" % (func,)
    trace = failure.__traceback__ and failure.__traceback__.tb_next
    if sys.stderr is not None:
        print(head, file=sys.stderr)
        traceback.print_exception(type(failure), failure, trace, file=sys.stderr)


def _too_late(number: int, frame: types.FrameType | None) -> None:
    pass


def _children_left() -> bool:
    """Processes of multiprocessing, which the end of a batch run waits for or ends."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and bool(process.active_children())


def _flags(fd: int) -> int | None:
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFL)
    except OSError:
        return None


def _restore_blocking(fd: int, before: int | None) -> None:
    now = _flags(fd)
    if before is not None and now is not None and (before ^ now) & os.O_NONBLOCK:
        fcntl.fcntl(fd, fcntl.F_SETFL, now ^ os.O_NONBLOCK)
