#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""soak.py PREWARMD BUILDER [REQUESTS [CLIENTS]]: asks the loader service for so many images from so
many processes, which are killed at random, some in the middle of a request, while libraries change
and builders fail. Afterwards nobody holds an image, and memory and descriptors are as before."""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import client
from client import Client

BOUND = 120


class Soak:
    def __init__(self, prewarmd, builder, requests, clients):
        self.requests = requests
        self.clients = clients
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="prewarm-soak-"))
        (self.home / "run").mkdir(mode=0o700)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home),
                       "PREWARM_RUNTIME_DIR": str(self.home / "run")}
        self.service = subprocess.Popen(
            [prewarmd, "--seccomp-kill", "--builder", builder, "--unused-seconds", "3600",
             "--cache-directory", str(self.home / "images")], env=environment)
        self.library = self.home / "library.so"
        shutil.copy("/lib64/ld-linux-x86-64.so.2", self.library)
        self.programs = [self.program(i) for i in range(8)]

    def program(self, number):
        path = self.home / f"program{number}"
        shutil.copy("/bin/true", path)
        words = ["--mapped", str(self.library)] if number < 2 else []
        words = ["exit 70"] if number == 7 else words + ["--bytes", str(number * 100_000)]
        path.with_name(path.name + ".image").write_text("\n".join(words) + "\n", "ascii")
        return path

    def connect(self):
        return Client(self.home / "run" / "image.sock")

    def state(self):
        with self.connect() as peer:
            return peer.control(client.LIST)[1]

    def wait_until(self, condition):
        end = time.monotonic() + BOUND
        while True:
            try:
                if condition():
                    return
            except OSError:
                pass  # it doesn't listen yet
            if time.monotonic() > end:
                raise SystemExit(f"soak: not within {BOUND} s: {self.state()}")
            time.sleep(0.01)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.service.pid}/fd"))

    def memory(self):
        """Private, in KiB."""
        with open(f"/proc/{self.service.pid}/smaps_rollup", encoding="ascii") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("Private_Dirty"))

    def be_client(self, seed, told):
        """Asks until it is killed, and tells of each request with a byte."""
        chance = random.Random(seed)
        peer = None
        while True:
            program = chance.choice(self.programs)
            flags = chance.choice((0, 0, 0, client.BUILD, client.WAIT))
            try:
                peer = peer or self.connect()
                peer.ask(program, flags=flags)
                if chance.random() < 0.1:  # never reads the answer
                    peer.close()
                    peer = None
                    os.write(told, b".")
                    continue
                answer = peer.answer()
            except OSError:
                peer = None
                continue
            if answer is None:
                peer = None
            else:
                os.write(told, b"+" if answer.fds else b".")
                answer.close()

    def start_client(self, seed, told):
        pid = os.fork()
        if pid == 0:
            try:
                self.be_client(seed, told)
            finally:
                os._exit(1)
        return pid

    def build_all(self):
        holder = subprocess.Popen(["sleep", "1000"])
        for program in self.programs:
            with self.connect() as peer:
                with peer.map(program, pid=holder.pid, flags=client.WAIT) as answer:
                    assert bool(answer.fds) == (program != self.programs[7]), answer.refusal
        holder.kill()
        holder.wait()

    def run(self):
        self.wait_until(lambda: self.state()["images"] == [])
        descriptors, memory = self.descriptors(), self.memory()
        self.build_all()
        chance = random.Random(1)
        hear, told = os.pipe()
        pids = [self.start_client(i, told) for i in range(self.clients)]
        seed, asked, served = self.clients, 0, 0
        while asked < self.requests:
            data = os.read(hear, 4096)
            asked += len(data)
            served += data.count(b"+")
            if chance.random() < 0.05:
                seed += 1
                place = chance.randrange(len(pids))
                os.kill(pids[place], signal.SIGKILL)
                os.waitpid(pids[place], 0)
                pids[place] = self.start_client(seed, told)
            if chance.random() < 0.002:
                with self.library.open("ab") as file:
                    file.write(b"x")
            if self.service.poll() is not None:
                raise SystemExit(f"soak: the service has ended: {self.service.returncode}")
        most = self.state()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(hear)
        os.close(told)
        self.wait_until(lambda: self.state()["references"] == 0)
        self.wait_until(lambda: self.state()["jobs"] == 0 and self.state()["connections"] == 1)
        assert all(i["references"] == 0 for i in self.state()["images"])
        with self.connect() as peer:
            peer.control(client.GC)
        self.wait_until(lambda: self.state()["hot_bytes"] == 0)
        self.wait_until(lambda: self.descriptors() <= descriptors)
        self.wait_until(lambda: self.memory() < memory + 8192)
        print(f"soak: {asked} requests, {served} images given, {seed - self.clients} clients"
              f" killed, {most['builds']} builds, {most['stale']} stale; held"
              f" {most['references']} at the end, now none; descriptors {descriptors}, now"
              f" {self.descriptors()}; private memory {memory} KiB, now {self.memory()} KiB")

    def end(self):
        if self.service.poll() is None:
            self.service.terminate()
            self.service.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def main():
    numbers = [int(a) for a in sys.argv[3:]]
    prewarmd, builder = (str(pathlib.Path(a).resolve()) for a in sys.argv[1:3])
    soak = Soak(prewarmd, builder, *(numbers + [100_000, 16][len(numbers):]))
    try:
        soak.run()
    finally:
        soak.end()


if __name__ == "__main__":
    main()
