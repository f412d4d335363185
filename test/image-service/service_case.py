# SPDX-License-Identifier: MIT
"""What all cases of image_service_test.py have: a service of their own, with programs to ask for.
Takes PREWARMD and BUILDER off the command line."""

import functools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import client
import waiting
from client import Client

PREWARMD = pathlib.Path(sys.argv.pop(1)).resolve()
BUILDER = pathlib.Path(sys.argv.pop(1)).resolve()
SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src" / "image"
REFUSALS = client.refusals(SOURCE / "refusal.h")
ANOTHER_USER = 61234
BOUND = 60

wait_until = functools.partial(waiting.wait_until, seconds=BOUND)


class ServiceCase(unittest.TestCase):
    # Of the service; the builder's options for PROGRAM are in PROGRAM.image.
    options = ()

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="prewarm-service-"))
        self.addCleanup(shutil.rmtree, self.home, True)
        self.runtime = self.home / "run"
        self.cache = self.home / "cache"
        self.programs = self.home / "programs"
        for directory in (self.runtime, self.cache, self.programs):
            directory.mkdir(mode=0o700)
        self.service = None
        self.addCleanup(self.end)

    def start(self, *options, wrap=(), images=()):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home),
                       "PREWARM_RUNTIME_DIR": str(self.runtime)}
        words = [str(PREWARMD), "--seccomp-kill", "--cache-directory", str(self.cache / "images"),
                 "--builder", str(BUILDER), *self.options, *options]
        for image in images:
            words += ["--image", str(image)]
        self.service = subprocess.Popen([*wrap, *words], env=environment)
        wait_until(lambda: self.answers() or self.service.poll() is not None, "an answer")
        self.assertIsNone(self.service.poll())

    def answers(self):
        try:
            with self.connect() as peer:
                return peer.control(client.LIST) is not None
        except OSError:
            return False

    def end(self, how=signal.SIGTERM):
        """The status; also what the service has started is gone then."""
        if self.service is None:
            return None
        spawners = self.children() if self.service.poll() is None else []
        self.service.send_signal(how)
        status = self.service.wait(BOUND)
        self.service = None
        for pid in spawners:
            wait_until(lambda pid=pid: not pathlib.Path(f"/proc/{pid}/exe").exists(), "its end")
        return status

    def children(self):
        pid = self.service.pid
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
        return [int(child) for child in text.split()]

    def connect(self):
        return Client(self.runtime / "image.sock")

    def program(self, name="program", options=()):
        """A file that can be taken for a program, and what its image is made from."""
        path = self.programs / name
        shutil.copy("/bin/true", path)
        self.describe(path, *options)
        return path

    def describe(self, path, *words):
        path.with_name(path.name + ".image").write_text("".join(f"{w}\n" for w in words), "ascii")

    def library(self, name="library.so"):
        path = self.programs / name
        shutil.copy("/lib64/ld-linux-x86-64.so.2", path)
        return path

    def refusal(self, program, **how):
        with self.connect() as peer, peer.map(program, **how) as answer:
            self.assertEqual(answer.descriptors, len(answer.fds))
            name = REFUSALS[answer.refusal]
            self.assertEqual(name == "none", bool(answer.fds))
            return name

    def build(self, program, **how):
        self.assertEqual(self.refusal(program, flags=client.WAIT, **how), "none")

    def state(self):
        with self.connect() as peer:
            return peer.control(client.LIST)[1]
