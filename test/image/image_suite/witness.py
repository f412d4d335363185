# SPDX-License-Identifier: MIT
"""Looks at a process whenever it executes a program and when it ends.

A seccomp filter in the process makes its execve and exit_group wait until somebody has looked.
That works for programs that nobody may trace: a tracer is seen, and then the start is another."""

import ctypes
import fcntl
import os
import select
import socket
import struct
import threading

_SYS_EXECVE, _SYS_EXIT_GROUP, _SYS_SECCOMP = 59, 231, 317
_ARCH_X86_64 = 0xC000003E
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_RET_ALLOW, _RET_NOTIFY = 0x7FFF0000, 0x7FC00000
_NOTIFY_RECEIVE, _NOTIFY_SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_PATIENCE_S = 60
_libc = ctypes.CDLL(None, use_errno=True)


def _instruction(code, jump_true, jump_false, value):
    return struct.pack("=HBBI", code, jump_true, jump_false, value)


_FILTER = b"".join([
    _instruction(0x20, 0, 0, 4),  # the architecture
    _instruction(0x15, 0, 3, _ARCH_X86_64),
    _instruction(0x20, 0, 0, 0),  # the system call
    _instruction(0x15, 2, 0, _SYS_EXECVE),
    _instruction(0x15, 1, 0, _SYS_EXIT_GROUP),
    _instruction(0x06, 0, 0, _RET_ALLOW),
    _instruction(0x06, 0, 0, _RET_NOTIFY),
])


class Look:
    """What a process was when it was about to execute a program or to end."""

    def __init__(self, call, pid):
        self.is_exec = call == _SYS_EXECVE
        directory = f"/proc/{pid}"
        self.mappings = _read(f"{directory}/maps").decode("utf-8", "backslashreplace").splitlines()
        self.is_image = any(_is_of_image(line) for line in self.mappings)
        self.executable = _link(f"{directory}/exe")
        self.name = _read(f"{directory}/comm")
        self.arguments = _read(f"{directory}/cmdline")
        self.environment = _read(f"{directory}/environ")
        self.auxiliary = _auxiliary_types(_read(f"{directory}/auxv"))
        self.descriptors = {}
        for number in _descriptors(directory):
            self.descriptors[int(number)] = _link(f"{directory}/fd/{number}")


def _is_of_image(mapping):
    """Each image has pages of its own that can be written to; the tests call it `N.image`."""
    return mapping.endswith(".image") and " rw" in mapping


def _descriptors(directory):
    try:
        return os.listdir(f"{directory}/fd")
    except OSError:
        return []


def _auxiliary_types(data):
    return [kind for kind, _ in struct.iter_unpack("=QQ", data[:len(data) // 16 * 16])]


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _link(path):
    try:
        return os.readlink(path)
    except OSError as error:
        return f"({error.strerror})"


def _thread_group(thread):
    for line in _read(f"/proc/{thread}/status").splitlines():
        if line.startswith(b"Tgid:"):
            return int(line.split()[1])
    return 0


class Witness:
    """Use `install` as the first thing in the child, and `looks(pid)` once all is over."""

    def __init__(self):
        self._here, self._there = socket.socketpair()
        self._looks = {}
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def install(self):
        """In the child, before its exec."""
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) if os.geteuid() != 0 else None
        code = ctypes.create_string_buffer(_FILTER, len(_FILTER))
        program = struct.pack("=HxxxxxxQ", len(_FILTER) // 8, ctypes.addressof(code))
        listener = _libc.syscall(_SYS_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER, program)
        if listener < 0:
            raise OSError(ctypes.get_errno(), "seccomp")
        socket.send_fds(self._there, [b"."], [listener])
        os.close(listener)
        self._there.close()
        self._here.close()

    def close(self):
        """Ends once no process with the filter is left; an error if one stays."""
        self._there.close()
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            raise RuntimeError("a process that the program has started doesn't end")
        self._here.close()

    def looks(self, pid):
        return self._looks.get(pid, [])

    def _serve(self):
        data, descriptors, _, _ = socket.recv_fds(self._here, 1, 1)
        if not data or not descriptors:
            return
        listener = descriptors[0]
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        while True:
            events = poll.poll()[0][1]
            if events & select.POLLIN:
                self._answer(listener)
            elif events & (select.POLLHUP | select.POLLERR):
                break
        os.close(listener)

    def _answer(self, listener):
        request = bytearray(80)
        try:
            fcntl.ioctl(listener, _NOTIFY_RECEIVE, request)
        except OSError:  # who asked has been killed
            return
        identity, thread, _, call = struct.unpack_from("=QIIi", request)
        pid = _thread_group(thread)
        self._looks.setdefault(pid, []).append(Look(call, thread))
        try:
            fcntl.ioctl(listener, _NOTIFY_SEND, struct.pack("=QqiI", identity, 0, 0, _CONTINUE))
        except OSError:
            pass
