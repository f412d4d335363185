# SPDX-License-Identifier: MIT
"""A machine of qemu's, in software: it needs neither root nor KVM."""

import os
import select
import subprocess
import time

ENDED = "ended "


class Machine:
    """Boots a kernel. A context manager: at its end the machine is gone."""

    def __init__(self, kernel, root, words, arguments, log):
        """`words`: what the kernel is told besides."""
        # no_timer_check: where others compute, too, no tick may come while the kernel waits for
        # one, and it takes the timer for broken.
        line = "console=ttyS0,115200 no_timer_check panic=-1 rdinit=/init"
        line += f" {words} -- {' '.join(arguments)}"
        self._qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
             "-m", "3072", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
             "-serial", f"file:{log}", "-serial", "stdio",
             "-kernel", kernel, "-initrd", root, "-append", line],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._qemu.kill()
        self._qemu.wait()
        self._qemu.stdout.close()

    def lines(self, seconds):
        """What the tests in there write, line by line, until they end or the time is over."""
        deadline = time.monotonic() + seconds
        rest = b""
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._qemu.stdout], [], [], left)[0]:
                break
            chunk = os.read(self._qemu.stdout.fileno(), 65536)
            if not chunk:
                break
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
        if rest:
            yield rest.decode(errors="replace")
