# SPDX-License-Identifier: MIT
"""A pseudo terminal: types, and collects what is written to it."""

import fcntl
import os
import pty
import re
import select
import struct
import termios
import threading

from .cases import Failed
from .waiting import wait_until

CTRL_C = b"\x03"
CTRL_BACKSLASH = b"\x1c"
CTRL_Z = b"\x1a"
CTRL_D = b"\x04"


class Terminal:
    def __init__(self):
        self.master, self.slave = pty.openpty()
        self.name = os.ttyname(self.slave)
        self.resize(24, 80)
        self._written = b""
        self._mark = 0
        # A thread, so that nobody is ever held up by a full terminal. Told to end by a pipe: a
        # terminal that somebody reads from isn't hung up by closing it.
        self._stop, self._stopper = os.pipe()
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self):
        while self._stop not in select.select([self.master, self._stop], [], [])[0]:
            try:
                chunk = os.read(self.master, 65536)
            except OSError:
                break  # nobody has it open any more
            if not chunk:
                break
            self._written += chunk
        
    def type(self, keys):
        os.write(self.master, keys)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self):
        return termios.tcgetattr(self.slave)

    def foreground(self):
        return os.tcgetpgrp(self.master)

    def expect(self, text, seconds=10.0):
        """Waits until `text` is written, after what was expected before."""

        def written():
            return self._written.find(text.encode(), self._mark) + 1

        at = wait_until(written, seconds)
        if not at:
            raise Failed(f"the terminal did not show {text!r} but {self._written[self._mark:]!r}")
        self._mark = at + len(text) - 1

    def text(self):
        """All that was written. Closes our own end of the terminal: it is for after the end."""
        self._close_slave()
        self._reader.join(2)  # until nobody has it open any more
        # A device's number, a job's pid.
        text = self._written.decode("utf-8", "surrogateescape").replace(self.name, "TERMINAL")
        return re.sub(r"(\[\d+\]) \d+", r"\1 PID", text)

    def hang_up(self):
        """Closes the master: the terminal is gone for everybody."""
        self._close_slave()
        self._close_master()

    def _close_master(self):
        if self.master >= 0:
            os.write(self._stopper, b".")
            self._reader.join()
            os.close(self.master)
            self.master = -1

    def _close_slave(self):
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    def close(self):
        self._close_slave()
        self._close_master()
        os.close(self._stop)
        os.close(self._stopper)
