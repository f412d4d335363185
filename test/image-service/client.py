# SPDX-License-Identifier: MIT
"""Talks to the loader service as src/image/wire.h says, also in ways that it does not say."""

import array
import ctypes
import json
import os
import socket
import struct

MAP_MAGIC = 0x504D5750
CONTROL_MAGIC = 0x54435750
VERSION = 2
BUILD, WAIT, PACK, NO_PACK = 1, 2, 4, 8
LIST, GC, REMOVE, STOP = range(4)
REQUEST = struct.Struct("<IIQIIIIQQ")
ANSWER = struct.Struct("<IIIIQQQ")
CONTROL = struct.Struct("<IIII")
CONTROL_ANSWER = struct.Struct("<IIIIQ")
STACK = 8 << 20
BOUND = 60


def refusals(header):
    """Names by number, from refusal.h."""
    names = []
    with open(header, encoding="ascii") as file:
        for line in file:
            line = line.strip()
            if line.startswith("X("):
                names.append(line[2:line.index(",")])
    return names


def root_identity():
    """stx_mnt_id and stx_ino of /."""
    buffer = (ctypes.c_char * 256)()
    libc = ctypes.CDLL(None, use_errno=True)
    at_fdcwd, statx_ino, statx_mnt_id = -100, 0x100, 0x1000
    if libc.statx(at_fdcwd, b"/", 0, statx_ino | statx_mnt_id, buffer) != 0:
        raise OSError(ctypes.get_errno(), "statx")
    return struct.unpack_from("<Q", buffer, 0x90)[0], struct.unpack_from("<Q", buffer, 0x20)[0]


class Answer:
    """A map answer; its descriptors are closed with it."""

    def __init__(self, data, fds):
        self.fds = fds
        (self.magic, self.version, self.refusal, self.descriptors, self.entry, self.context,
         self.image_bytes) = ANSWER.unpack(data)

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(BOUND)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], rights)

    def receive(self):
        """Bytes and descriptors; no bytes: the service has closed the connection."""
        try:
            data, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(253 * 4))
        except ConnectionResetError:
            return b"", []
        fds = array.array("i")
        for _, _, part in control:
            fds.frombytes(part[:len(part) - len(part) % fds.itemsize])
        return data, list(fds)

    def ask(self, program, pid=None, flags=0, stack=STACK, root=None, preload="", fewest=0):
        path, more = os.fsencode(program), os.fsencode(preload)
        request = REQUEST.pack(MAP_MAGIC, VERSION, stack, flags, len(path), len(more), fewest,
                               *(root or root_identity()))
        exec_fd = os.open(program, os.O_PATH | os.O_CLOEXEC)
        pidfd = os.pidfd_open(pid or os.getpid())
        try:
            self.send(request + path + more, [exec_fd, pidfd])
        finally:
            os.close(exec_fd)
            os.close(pidfd)

    def answer(self):
        """None: the connection is closed."""
        data, fds = self.receive()
        return Answer(data, fds) if data else None

    def map(self, program, **how):
        self.ask(program, **how)
        return self.answer()

    def control(self, kind, path=b""):
        """The count, and what was said."""
        self.send(CONTROL.pack(CONTROL_MAGIC, VERSION, kind, len(path)) + path)
        data, fds = self.receive()
        if not data:
            return None
        text = b""
        for fd in fds:
            with os.fdopen(fd, "rb") as file:
                text += file.read()
        return CONTROL_ANSWER.unpack(data)[4], json.loads(text) if text else None
