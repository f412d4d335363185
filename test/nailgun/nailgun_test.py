#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nailgun_test.py PREWARM [CASE...]: `prewarm nailgun` runs commands of nailgun's clients by
workers, or as ordinary processes. Debian's client is used where it is installed. The server that
stands for the owner of workers, and the tool, are those of test/coproc-run."""

import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

RUN_TEST = pathlib.Path(__file__).resolve().parent.parent / "coproc-run"
sys.path.insert(0, str(RUN_TEST))

from stand_in_owner import Owner  # noqa: E402

PREWARM = pathlib.Path(sys.argv.pop(1)).resolve()
CLIENT = shutil.which("ng-nailgun")
BOUND = 60
ANOTHER_USER = 61234


class Client:
    """A client that shows each chunk, and sends what it is told to."""

    def __init__(self, address):
        if address.startswith("local:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address.removeprefix("local:"))
        else:
            host, _, port = address.rpartition(":")
            self.socket = socket.create_connection((host.strip("[]"), int(port)))
        self.socket.settimeout(BOUND)
        self.file = self.socket.makefile("rb")

    def send(self, kind, data=b""):
        self.socket.sendall(struct.pack(">I", len(data)) + kind + data)

    def command(self, name, *arguments, directory=b"/tmp", environment=None):
        for argument in arguments:
            self.send(b"A", os.fsencode(argument))
        for variable in (environment or {}).items():
            self.send(b"E", "=".join(variable).encode())
        self.send(b"D", directory)
        self.send(b"C", name.encode())

    def chunk(self):
        """Kind and data; None: the end."""
        header = self.file.read(5)
        if len(header) < 5:
            return None
        return header[4:], self.file.read(struct.unpack(">I", header[:4])[0])

    def result(self):
        """All output, all errors, the status."""
        streams = {b"1": b"", b"2": b""}
        while chunk := self.chunk():
            kind, data = chunk
            if kind in streams:
                streams[kind] += data
            if kind == b"X":
                return streams[b"1"], streams[b"2"], int(data)
        return streams[b"1"], streams[b"2"], None

    def close(self):
        self.file.close()
        self.socket.close()


class NailgunTest(unittest.TestCase):
    address = "127.0.0.1:0"

    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="prewarm-nailgun."))
        self.addCleanup(shutil.rmtree, self.place)
        for name in ("bin", "run", "work"):
            (self.place / name).mkdir(mode=0o700)
        self.tool = self.place / "bin" / "tool"
        shutil.copy(RUN_TEST / "tool", self.tool)
        self.declarations = self.place / "coprocesses.toml"
        self.declarations.write_text("")
        self.owner = Owner(self.place / "run" / "pool.sock")
        self.addCleanup(self.owner.close)
        self.environment = {
            "PATH": f"{self.place / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.place),
            "LC_ALL": "C.UTF-8",
            "PREWARM_DECLARATIONS": str(self.declarations),
            "PREWARM_RUNTIME_DIR": str(self.place / "run"),
        }
        self.start()

    def start(self, *options):
        address = self.address.replace("PLACE", str(self.place))
        self.server = subprocess.Popen(
            [PREWARM, "nailgun", "--listen", address, *options],
            env=self.environment, cwd=self.place,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.addCleanup(self.stop)
        self.address_now = self.server.stdout.readline().removeprefix("listening at ").strip()

    def stop(self, number=signal.SIGTERM):
        """Returns what it had to say. It may have ended already."""
        if self.server.stdout.closed:
            return ""
        if self.server.poll() is None:
            self.server.send_signal(number)
        said = self.server.stderr.read()
        self.assertEqual(self.server.wait(BOUND), 0)
        self.server.stdout.close()
        self.server.stderr.close()
        return said

    def client(self):
        client = Client(self.address_now)
        self.addCleanup(client.close)
        return client

    def run_tool(self, *arguments, stdin=None, name="tool", **more):
        client = self.client()
        client.command(name, *arguments, environment=self.environment, **more)
        if stdin is not None:
            self.feed(client, stdin)
        return client.result()

    def feed(self, client, stdin):
        """All of it at once, whatever was asked for."""
        for at in range(0, len(stdin), 2048):
            client.send(b"0", stdin[at : at + 2048])
        client.send(b".")

    def no_processes(self):
        """Those of the listener's."""
        path = pathlib.Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children")
        while path.read_text().split():
            os.sched_yield()


class Commands(NailgunTest):
    def test_what_a_tool_gets(self):
        out, err, status = self.run_tool("args", "a", "", "b c", "two\nlines", "\\", b"\xff")
        self.assertEqual((out, err, status), (b"<a><><b c><two\nlines><\\><\xff>\n", b"", 0))
        out, _, _ = self.run_tool("place", directory=os.fsencode(self.place / "work"))
        self.assertEqual(out.split()[0], os.fsencode(self.place / "work"))
        self.environment["A"] = "b=c"
        out = self.run_tool("env", "A", "LC_ALL", "NONE")[0]
        self.assertEqual(out, b"A=b=c\nLC_ALL=C.UTF-8\nNONE=(unset)\n")
        self.assertEqual(self.run_tool("both"), (b"out\nmore\n", b"err\n", 0))
        self.assertEqual(len(self.owner.requests), 4)
        declarations = dict(self.owner.requests[0])["declarations"]
        self.assertEqual(declarations, os.fsencode(self.declarations))

    def test_statuses(self):
        self.assertEqual([self.run_tool("exit", n)[2] for n in ("0", "3", "255")], [0, 3, 255])
        self.assertEqual(self.run_tool("kill", "15")[2], 143)

    def test_input(self):
        text = b"".join(b"%d\n" % n for n in range(20000))
        self.assertEqual(self.run_tool("cat", stdin=text), (text, b"", 0))
        self.assertEqual(self.run_tool("cat", stdin=b""), (b"", b"", 0))
        self.assertEqual(self.run_tool("line", stdin=text), (b"line: 0\n", b"", 0))

    def test_input_is_asked_for_piece_by_piece(self):
        client = self.client()
        client.command("tool", "cat", environment=self.environment)
        for text in (b"one", b"two"):
            self.assertEqual(client.chunk(), (b"S", b""))
            client.send(b"H")
            client.send(b"0", text)
            chunks = {client.chunk(), client.chunk()}
            self.assertEqual(chunks, {(b"1", text), (b"S", b"")})
            client.send(b"H")
            client.send(b"0", b"")
            # An empty piece is none; the next is asked for.
        client.send(b".")
        self.assertEqual(client.result()[2], 0)

    def test_large_output(self):
        client = self.client()
        client.command("head", "-c", "30000000", "/dev/zero", environment=self.environment)
        out, _, status = client.result()
        self.assertEqual((len(out), status), (30000000, 0))

    def test_no_input_by_declaration(self):
        self.declarations.write_text("[command.tool]\nstdin = false\n")
        client = self.client()
        client.command("tool", "cat", environment=self.environment)
        self.assertEqual(client.chunk(), (b"X", b"0"))

    def test_many_clients(self):
        clients = [self.client() for _ in range(30)]
        for n, client in enumerate(clients):
            client.command("tool", "args", str(n), environment=self.environment)
        for n, client in enumerate(clients):
            self.assertEqual(client.result(), (b"<%d>\n" % n, b"", 0))

    def test_what_cant_be_run(self):
        complaint = b"prewarm: nailgun: none: command not found\n"
        self.assertEqual(self.run_tool(name="none")[1:], (complaint, 127))
        (self.place / "bin" / "flat").touch(0o644)
        self.assertEqual(self.run_tool(name=f"{self.place}/bin/flat")[2], 126)
        self.assertEqual(self.run_tool(name=f"{self.place}/bin/missing")[2], 127)
        self.assertEqual(self.run_tool(directory=b"/none")[2], 125)
        self.assertEqual(self.run_tool(directory=b"relative")[2], 125)
        client = self.client()
        client.socket.sendall(b"\xff\xff\xff\xffA")
        self.assertEqual(client.result()[2], 125)
        self.assertEqual(self.owner.requests, [])


class Batch(NailgunTest):
    """Nobody runs it as a worker: exactly once as a process."""

    def test_refused(self):
        self.owner.mode = "refuse"
        path = self.place / "count"
        self.assertEqual(self.run_tool("count", path)[2], 0)
        self.assertEqual(path.read_bytes(), b".")
        self.assertEqual(self.run_tool("cat", stdin=b"text")[0], b"text")
        self.assertEqual(self.run_tool("kill", "9")[2], 137)
        self.assertEqual(self.run_tool("name")[0], b"tool\n")
        self.assertEqual(len(self.owner.requests), 4)

    def test_not_read(self):
        self.owner.mode = "unread"
        path = self.place / "count"
        self.assertEqual(self.run_tool("count", path)[2], 0)
        self.assertEqual(path.read_bytes(), b".")

    def test_no_answer(self):
        self.owner.mode = "vanish"
        path = self.place / "count"
        _, err, status = self.run_tool("count", path)
        complaint = b"prewarm: nailgun: the owner of its workers has ended\n"
        self.assertEqual((err, status), (complaint, 125))
        self.assertFalse(path.exists())

    def test_a_process_left_behind(self):
        """It holds the output; the answer doesn't wait for it."""
        self.owner.mode = "refuse"
        gate = self.place / "gate"
        os.mkfifo(gate)
        out, _, status = self.run_tool("-c", f"cat {gate} & echo started", name="sh")
        self.assertEqual((out, status), (b"started\n", 0))
        gate.write_bytes(b"")


class Ends(NailgunTest):
    def hold(self):
        fifo, gate = self.place / "fifo", self.place / "gate"
        for path in (fifo, gate):
            os.mkfifo(path)
        client = self.client()
        client.command("tool", "hold", fifo, gate, environment=self.environment)
        fifo.read_bytes()
        return client

    def test_client_gone(self):
        self.hold().close()
        for thread in self.owner.finishing:
            thread.join(BOUND)
            self.assertFalse(thread.is_alive())
        self.assertEqual(self.owner.signals, [signal.SIGHUP])
        self.no_processes()

    def test_client_of_a_batch_process_gone(self):
        self.owner.mode = "refuse"
        self.hold().close()
        self.no_processes()

    def test_client_gone_in_its_command(self):
        client = self.client()
        client.send(b"A", b"x")
        client.close()
        self.no_processes()

    def test_signals(self):
        client = self.hold()
        self.assertEqual(self.stop(signal.SIGINT), "")
        self.assertEqual(client.result()[2], None)
        for thread in self.owner.finishing:
            thread.join(BOUND)
            self.assertFalse(thread.is_alive())

    def test_idle(self):
        self.stop()
        self.start("--idle-seconds", "1")
        self.assertEqual(self.run_tool("args")[2], 0)
        self.assertEqual(self.server.wait(BOUND), 0)


class Users(NailgunTest):
    @unittest.skipIf(os.geteuid() != 0, "needs root to be another user")
    def test_another_user(self):
        script = (
            "import os, socket, sys; os.setuid(int(sys.argv[2])); s = socket.socket();"
            "s.settimeout(60); s.connect(('127.0.0.1', int(sys.argv[1]))); print(s.recv(1))"
        )
        port = self.address_now.rpartition(":")[2]
        done = subprocess.run(
            [sys.executable, "-c", script, port, str(ANOTHER_USER)],
            capture_output=True, text=True, timeout=BOUND,
        )
        self.assertEqual(done.stdout, "b''\n", done.stderr)
        complaint = f"prewarm: nailgun: refused a client of user {ANOTHER_USER}\n"
        self.assertEqual(self.stop(), complaint)

    def test_bad_addresses(self):
        bad = ("0.0.0.0:0", "[::]:0", "example.org:1", "70000", "x", "local:", "local:/tmp/x.sock")
        for address in bad:
            with self.subTest(address):
                done = subprocess.run(
                    [PREWARM, "nailgun", "--listen", address],
                    capture_output=True, text=True, timeout=BOUND,
                )
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                complaint = "prewarm: nailgun: can't listen at"
                self.assertTrue(done.stderr.startswith(complaint), done.stderr)


class LocalSocket(Commands):
    address = "local:PLACE/run/nailgun.sock"

    def test_socket(self):
        path = self.place / "run" / "nailgun.sock"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        again = [PREWARM, "nailgun", "--listen", f"local:{path}"]
        second = subprocess.run(again, capture_output=True, timeout=BOUND)
        self.assertEqual(second.returncode, 1)
        self.server.kill()
        self.server.wait(BOUND)
        self.server.stdout.close()
        self.server.stderr.close()
        self.assertTrue(path.exists())
        self.start()
        self.assertEqual(self.run_tool("args")[2], 0)
        self.stop()
        self.assertFalse(path.exists())


class Loopback6(NailgunTest):
    address = "[::1]:0"

    def setUp(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 here")
        super().setUp()

    def test_a_command(self):
        self.assertEqual(self.run_tool("args", "x"), (b"<x>\n", b"", 0))


@unittest.skipIf(CLIENT is None, "nailgun's client isn't installed")
class RealClient(NailgunTest):
    def nailgun(self, *arguments, **more):
        host, _, port = self.address_now.rpartition(":")
        environment = {**self.environment, "NAILGUN_SERVER": host, "NAILGUN_PORT": port}
        return subprocess.run(
            [CLIENT, "tool", *arguments],
            env=environment, cwd=self.place / "work", capture_output=True, timeout=BOUND,
            **{"stdin": subprocess.DEVNULL, **more},
        )  # fmt: skip

    def check(self):
        done = self.nailgun("args", "a b", "")
        self.assertEqual((done.stdout, done.stderr, done.returncode), (b"<a b><>\n", b"", 0))
        done = self.nailgun("both")
        self.assertEqual((done.stdout, done.stderr, done.returncode), (b"out\nmore\n", b"err\n", 0))
        text = b"line\n" * 30000
        self.assertEqual(self.nailgun("cat", stdin=None, input=text).stdout, text)
        self.assertEqual(self.nailgun("line", stdin=None, input=text).stdout, b"line: line\n")
        self.assertTrue(self.nailgun("place").stdout.startswith(os.fsencode(self.place / "work")))
        self.assertEqual(self.nailgun("exit", "9").returncode, 9)
        self.assertEqual(self.nailgun("kill", "15").returncode, 143)

    def test_by_a_worker(self):
        self.check()
        self.assertEqual(len(self.owner.requests), 7)

    def test_as_a_process(self):
        self.owner.mode = "refuse"
        self.check()


if __name__ == "__main__":
    unittest.main()
