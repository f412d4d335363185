#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""image_service_test.py PREWARMD BUILDER [CASE...]: the loader service answers map requests
rightly, whatever becomes of files, clients, builders and of itself. BUILDER is stand_in_builder."""

import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import unittest

import client
from client import ANSWER, CONTROL, REQUEST
from service_case import ANOTHER_USER, BOUND, BUILDER, PREWARMD, REFUSALS, ServiceCase, wait_until
from service_files import Files, FilesUnwatched, Links  # run by unittest, too


class Answers(ServiceCase):
    def test_an_image_and_its_files(self):
        library = self.library()
        program = self.program(options=["--mapped", library, "--bytes", "100000"])
        self.start()
        self.assertEqual(self.refusal(program), "no_image")
        self.build(program)
        with self.connect() as peer, peer.map(program) as answer:
            image, *files = answer.fds
            self.assertEqual(os.fstat(image).st_size, answer.image_bytes)
            self.assertEqual(os.pread(image, 8, 0), b"PWIMAGE\0")
            self.assertGreater(answer.context, 400)
            self.assertEqual([os.fstat(f).st_ino for f in files],
                             [os.stat(p).st_ino for p in (program, library)])
            with self.assertRaises(OSError):
                os.pwrite(image, b"x", 0)

    def test_building_is_not_waited_for(self):
        program = self.program(options=["hang"])
        self.start()
        self.assertEqual(self.refusal(program, flags=client.BUILD), "being_built")
        self.assertEqual(self.refusal(program, flags=client.BUILD), "being_built")
        other = self.program("other")
        self.build(other)
        self.assertEqual(self.state()["builds"], 2)

    def test_each_stack_limit_has_its_own(self):
        program = self.program()
        self.start()
        self.build(program, stack=8 << 20)
        self.assertEqual(self.refusal(program, stack=9 << 20), "no_image")
        self.build(program, stack=4 << 20)
        self.assertEqual(self.refusal(program, stack=8 << 20), "none")
        self.assertEqual(sorted(i["stack_limit"] for i in self.state()["images"]),
                         [4 << 20, 8 << 20])

    def test_packed_and_plain_ones(self):
        program = self.program()
        self.start()
        self.build(program)
        self.assertEqual(self.refusal(program, flags=client.PACK), "no_image")
        self.assertEqual(self.refusal(program, flags=client.PACK | client.WAIT), "none")
        self.assertEqual(sorted(i["packed"] for i in self.state()["images"]), [0, 2])
        self.assertEqual(self.refusal(program, flags=client.NO_PACK), "none")

    def test_what_is_preloaded(self):
        program, agent = self.program(), self.program("agent")
        self.start("--enough-regions", "0")
        self.build(program)
        self.assertEqual(self.refusal(program, preload=agent), "no_image")
        self.assertEqual(self.refusal(program, preload=agent, flags=client.WAIT), "none")
        self.assertEqual(self.refusal(program, preload=program), "no_image")
        self.assertEqual(self.refusal(program), "none")
        self.assertEqual(sorted(i["preloaded"] for i in self.state()["images"]), ["", str(agent)])
        agent.write_text("another")
        self.assertEqual(self.refusal(program, preload=agent), "stale")
        self.assertEqual(self.refusal(program), "none")

    def test_what_does_not_pay(self):
        program, agent = self.program(), self.program("agent")
        self.start()
        self.build(program)
        (regions,) = (image["regions"] for image in self.state()["images"])
        for flags in (0, client.WAIT):
            self.assertEqual(self.refusal(program, flags=flags, fewest=regions + 1), "not_worth_it")
            self.assertEqual(self.refusal(program, flags=flags, fewest=regions), "none")
        # Processes that it is preloaded into are never started otherwise, so it isn't kept.
        self.assertEqual(self.refusal(program, preload=agent, flags=client.WAIT), "not_worth_it")
        builds = self.state()["builds"]
        self.assertEqual(self.refusal(program, preload=agent, flags=client.WAIT), "not_worth_it")
        self.assertEqual((self.state()["builds"], len(self.state()["images"])), (builds, 1))

    def test_a_request_after_another(self):
        program = self.program()
        self.start()
        self.build(program)
        with self.connect() as peer:
            for _ in range(20):
                with peer.map(program) as answer:
                    self.assertEqual(answer.refusal, 0)

    def test_what_can_not_be_an_image(self):
        self.start()
        program = self.program()
        program.chmod(0o4755)
        self.assertEqual(self.refusal(program, flags=client.WAIT), "privileged")
        self.assertEqual(self.refusal("/", flags=client.WAIT), "not_found")

    def test_another_root(self):
        program = self.program()
        self.start()
        self.build(program)
        mount, inode = client.root_identity()
        self.assertEqual(self.refusal(program, root=(mount + 1, inode)), "other_root")
        self.assertEqual(self.refusal(program, root=(mount, inode + 1)), "other_root")

    def test_another_version(self):
        self.start()
        for size in (8, REQUEST.size, ANSWER.size):
            with self.connect() as peer:
                peer.send(REQUEST.pack(client.MAP_MAGIC, 99, 0, 0, 0, 0, 0, 0, 0)[:size])
                with peer.answer() as answer:
                    self.assertEqual(REFUSALS[answer.refusal], "other_version")

    @unittest.skipIf(os.geteuid() != 0, "only root can be others")
    def test_another_user_is_refused(self):
        program = self.program()
        self.start()
        self.build(program)
        self.home.chmod(0o755)
        self.runtime.chmod(0o755)
        (self.runtime / "image.sock").chmod(0o666)
        self.programs.chmod(0o755)
        pid = os.fork()
        if pid == 0:
            os.setgroups([])
            os.setresgid(ANOTHER_USER, ANOTHER_USER, ANOTHER_USER)
            os.setresuid(ANOTHER_USER, ANOTHER_USER, ANOTHER_USER)
            with self.connect() as peer, peer.map(program) as answer:
                refused = REFUSALS[answer.refusal] == "not_allowed" and not answer.fds
            with self.connect() as peer:
                refused = refused and peer.control(client.STOP) is None
            os._exit(0 if refused else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        self.assertIsNone(self.service.poll())


class BadClients(ServiceCase):
    def setUp(self):
        super().setUp()
        self.good = self.program()
        self.start()
        self.build(self.good)

    def tearDown(self):
        self.assertEqual(self.refusal(self.good), "none")
        wait_until(lambda: self.state()["connections"] == 1, "closed connections")

    def closed(self, data, fds=()):
        with self.connect() as peer:
            peer.send(data, fds)
            self.assertIsNone(peer.answer(), data)

    def request(self, path=b"/x", length=None, **_):
        return REQUEST.pack(client.MAP_MAGIC, client.VERSION, client.STACK, 0,
                            len(path) if length is None else length, 0, 0,
                            *client.root_identity()) + path

    def test_garbage(self):
        for data in (b"x", b"garbage", bytes(48), b"\xff" * 4000, self.request()[:4],
                     self.request()[:-1], CONTROL.pack(client.CONTROL_MAGIC, 7, 0, 0),
                     CONTROL.pack(client.CONTROL_MAGIC, client.VERSION, 77, 0),
                     CONTROL.pack(client.CONTROL_MAGIC, 1, 0, 99)):
            self.closed(data)
        self.closed(b"x" * 100_000)

    def test_wrong_descriptors(self):
        exec_fd, pidfd = os.open(self.good, os.O_RDONLY), os.pidfd_open(os.getpid())
        try:
            for fds in ((), (exec_fd,), (pidfd,), (exec_fd, exec_fd), (exec_fd, pidfd, pidfd)):
                self.closed(self.request(os.fsencode(self.good)), fds)
            for path in (b"", b"relative", b"/with\0zero"):
                self.closed(self.request(path), (exec_fd, pidfd))
            self.closed(self.request(b"/x", length=1), (exec_fd, pidfd))
            self.closed(self.request(b"/x", length=1 << 31), (exec_fd, pidfd))
        finally:
            os.close(exec_fd)
            os.close(pidfd)

    def test_gone_in_the_middle(self):
        waiting = self.program("slow", ["hang"])
        for _ in range(20):
            with self.connect() as peer:
                peer.ask(self.good)
            with self.connect() as peer:
                peer.ask(waiting, flags=client.WAIT)

    def test_two_requests_at_once(self):
        waiting = self.program("slow", ["hang"])
        with self.connect() as peer:
            peer.ask(waiting, flags=client.WAIT)
            peer.ask(self.good)
            self.assertIsNone(peer.answer())

    def test_who_does_not_read(self):
        with self.connect() as peer:
            with self.assertRaises((BrokenPipeError, ConnectionResetError, TimeoutError)):
                peer.socket.settimeout(0.2)
                for _ in range(100_000):
                    peer.ask(self.good)

    def test_very_many_connections(self):
        peers = []
        for _ in range(600):
            peers.append(self.connect())
        self.assertEqual(self.refusal(self.good), "none")
        for peer in peers:
            peer.close()


class Builders(ServiceCase):
    def test_refusals_are_remembered(self):
        program = self.program(options=[f"exit {64 + REFUSALS.index('not_linked')}"])
        self.start()
        self.assertEqual(self.refusal(program, flags=client.WAIT), "not_linked")
        self.assertEqual(self.refusal(program, flags=client.WAIT), "not_linked")
        self.assertEqual(self.refusal(program, flags=client.BUILD), "not_linked")
        state = self.state()
        self.assertEqual(state["builds"], 1)
        self.assertEqual([f["refusal"] for f in state["failures"]], ["not_linked"])
        # Another file, or to have it forgotten: it may be tried again.
        self.describe(program)
        with self.connect() as peer:
            peer.control(client.REMOVE, os.fsencode(program))
        self.build(program)

    def test_failures(self):
        self.start()
        for options, refusal in ((["exit 1"], "build_failed"), (["exit 255"], "build_failed"),
                                 (["garbage"], "damaged"), (["cut"], "damaged"),
                                 (["--read", "/nowhere"], "build_failed")):
            with self.subTest(options=options):
                program = self.program(options=options)
                self.assertEqual(self.refusal(program, flags=client.WAIT), refusal)
                self.assertEqual(self.refusal(program, flags=client.WAIT), refusal)
                program.unlink()

    def test_one_that_hangs_is_killed(self):
        self.start("--build-seconds", "1")
        program = self.program(options=["hang"])
        self.assertEqual(self.refusal(program, flags=client.WAIT), "build_failed")

    def test_two_at_a_time(self):
        self.start("--build-seconds", "2")
        for number in range(5):
            program = self.program(f"slow{number}", ["hang"])
            self.assertEqual(self.refusal(program, flags=client.BUILD), "being_built")
        self.assertEqual(self.state()["builds"], 2)
        good = self.program("good")
        self.build(good)  # when its turn comes
        self.assertEqual(self.state()["builds"], 6)

    def test_for_another_program(self):
        """An image of something else is not taken for this one's."""
        other = self.program("other")
        swap = self.home / "swap"
        swap.write_text(f'#!/bin/sh\nexec {BUILDER} "$1" "$2" {other}\n', "ascii")
        swap.chmod(0o755)
        program = self.program()
        self.start("--builder", str(swap))
        self.assertEqual(self.refusal(program, flags=client.WAIT), "build_failed")

    def test_end_with_the_service(self):
        program = self.program(options=["hang"])
        self.start()
        with self.connect() as peer:
            peer.ask(program, flags=client.WAIT)
            spawner = self.children()[0]
            tasks = pathlib.Path(f"/proc/{spawner}/task/{spawner}/children")
            wait_until(lambda: tasks.read_text("ascii"), "a builder")
            builder = int(tasks.read_text("ascii"))
            self.end(signal.SIGKILL)
            self.assertIsNone(peer.answer())
        wait_until(lambda: not pathlib.Path(f"/proc/{builder}/exe").exists(), "the builder's end")


class Disk(ServiceCase):
    def stored(self):
        return [p for p in (self.cache / "images").iterdir() if p.stat().st_size > 100]

    def keep(self, program):
        """Makes an image and waits until it is on the disk; ends the service."""
        self.start()
        self.build(program)
        wait_until(lambda: all(i["stored_as"] for i in self.state()["images"]), "a stored image")
        self.assertEqual(self.end(), 0)

    def test_next_service_has_it(self):
        program = self.program(options=["--mapped", self.library(), "--bytes", "300000"])
        self.keep(program)
        self.start("--builder", "/bin/false")
        self.assertEqual(self.refusal(program), "none")
        self.assertEqual(self.state()["builds"], 0)

    def test_a_disk_that_is_full(self):
        """A real one, of 16 pages."""
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "none", self.cache],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest(mounted.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", self.cache], check=True)
        (self.cache / "filler").write_bytes(bytes(64 << 10))
        program = self.program(options=["--bytes", "300000"])
        self.start()
        self.build(program)
        wait_until(lambda: self.state()["store_failures"] == 1, "a failure")
        self.assertEqual(self.refusal(program), "none")
        self.assertEqual(self.stored(), [])
        self.assertEqual(sorted(os.listdir(self.cache / "images")), [])

    def test_stale_one(self):
        library = self.library()
        program = self.program(options=["--mapped", library])
        self.keep(program)
        library.write_bytes(b"other")
        self.start()
        self.assertEqual(self.refusal(program), "stale")
        self.assertEqual(self.stored(), [])
        self.assertEqual(self.refusal(program), "no_image")

    def test_damaged_one(self):
        program = self.program(options=["--bytes", "100000"])
        self.keep(program)
        file, = self.stored()
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        self.start()
        self.assertEqual(self.refusal(program), "damaged")
        self.build(program)

    def test_unwritable_cache(self):
        self.cache.rmdir()
        self.cache.write_bytes(b"")
        program = self.program()
        self.start()
        self.build(program)
        self.assertEqual(self.refusal(program), "none")

    def test_cache_that_becomes_unwritable(self):
        program = self.program()
        self.start()
        images = self.cache / "images"
        shutil.rmtree(images)
        images.write_bytes(b"")
        self.build(program)
        wait_until(lambda: self.state()["store_failures"] == 1, "a failure")
        self.assertEqual(self.refusal(program), "none")

    def test_remove_and_gc(self):
        program = self.program()
        self.start()
        self.build(program)
        wait_until(lambda: self.state()["images"][0]["stored_as"], "a stored image")
        process = subprocess.Popen(["sleep", "1000"])
        self.assertEqual(self.refusal(program, pid=process.pid), "none")
        with self.connect() as peer:
            # This process, and sleep, hold it.
            self.assertEqual(peer.control(client.GC), (0, None))
            self.assertEqual(peer.control(client.REMOVE, b"/other"), (0, None))
            self.assertEqual(peer.control(client.REMOVE, os.fsencode(program)), (2, None))
            self.assertEqual(peer.control(client.LIST)[1]["images"], [])
        process.kill()
        process.wait()
        self.assertEqual(self.refusal(program), "no_image")


class Memory(ServiceCase):
    def use(self, program):
        """A process that holds the image."""
        process = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        with self.connect() as peer:
            with peer.map(program, pid=process.pid, flags=client.WAIT) as answer:
                self.assertEqual(answer.refusal, 0)
        return process

    def test_references_end_with_processes(self):
        program = self.program()
        self.start()
        processes = [self.use(program) for _ in range(5)]
        self.assertEqual(self.state()["references"], 5)
        for process in processes:
            process.kill()
            process.wait()
        wait_until(lambda: self.state()["references"] == 0, "no references")
        self.assertEqual(self.state()["images"][0]["references"], 0)

    def test_unused_ones_leave_memory(self):
        program = self.program()
        self.start("--unused-seconds", "0")
        process = self.use(program)
        self.assertEqual(len(self.state()["images"]), 1)
        process.kill()
        process.wait()
        wait_until(lambda: self.state()["hot_bytes"] == 0, "released memory")

    def test_pressure_is_watched(self):
        """Where the kernel lets this user."""
        try:
            with open("/proc/pressure/memory", "r+b", buffering=0) as file:
                file.write(b"some 200000 2000000\0")
        except OSError as error:
            self.skipTest(str(error))
        self.start()
        self.assertTrue(self.state()["memory_pressure_watched"])

    def test_bound_on_memory(self):
        names = [self.program(f"p{i}", ["--bytes", "400000"]) for i in range(4)]
        self.start("--hot-bytes", "1000000")
        first = self.use(names[0])
        for name in names[1:]:
            self.use(name).kill()
            wait_until(lambda: self.state()["references"] == 1, "a reference less")
        images = self.state()["images"]
        self.assertEqual(sorted(i["program"] for i in images), [str(names[0]), str(names[3])])
        self.use(names[3])
        self.assertEqual(self.refusal(names[1], flags=client.WAIT), "too_busy")  # both are held
        self.assertIsNone(first.poll())
        large = self.program("large", ["--bytes", "2000000"])
        self.assertEqual(self.refusal(large, flags=client.WAIT), "too_large")

    def test_bound_on_descriptors(self):
        program = self.program()
        self.start(wrap=["prlimit", "--nofile=660:660"])
        with self.connect() as peer:
            answers = [peer.map(program, flags=client.WAIT) for _ in range(40)]
            refusals = [REFUSALS[a.refusal] for a in answers]
            for answer in answers:
                answer.close()
        self.assertEqual(refusals[0], "none")
        self.assertEqual(refusals[-1], "too_busy")


class Lives(ServiceCase):
    def test_killed_and_started_again(self):
        program = self.program()
        for _ in range(3):
            self.start()
            self.build(program)
            self.end(signal.SIGKILL)
            with self.assertRaises(OSError):
                self.connect()

    def test_one_at_a_time(self):
        self.start()
        again = subprocess.run([PREWARMD], env={"PREWARM_RUNTIME_DIR": str(self.runtime)},
                               capture_output=True, text=True, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("somebody serves already", again.stderr)

    def test_background(self):
        environment = {"PREWARM_RUNTIME_DIR": str(self.runtime), "HOME": str(self.home)}
        starters = [subprocess.Popen([PREWARMD, "--background"], env=environment)
                    for _ in range(6)]
        for starter in starters:
            self.assertEqual(starter.wait(BOUND), 0)
        with self.connect() as peer:
            pid = peer.control(client.LIST)[1]["pid"]
            peer.control(client.STOP)
        wait_until(lambda: not pathlib.Path(f"/proc/{pid}/exe").exists(), "the service's end")
        self.assertFalse((self.runtime / "image.sock").exists())

    def test_ends_when_idle(self):
        self.start("--idle-seconds", "1", "--unused-seconds", "0")
        self.assertEqual(self.service.wait(BOUND), 0)
        self.service = None
        self.assertFalse((self.runtime / "image.sock").exists())

    def test_activation(self):
        path = self.runtime / "image.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(path))
            listener.listen(16)
            listener.set_inheritable(True)
            environment = dict(os.environ, PREWARM_RUNTIME_DIR=str(self.runtime), LISTEN_FDS="1",
                               HOME=str(self.home))

            pid = os.fork()
            if pid == 0:
                os.dup2(listener.fileno(), 3)
                environment["LISTEN_PID"] = str(os.getpid())
                os.execve(PREWARMD, [str(PREWARMD)], environment)
        with self.connect() as peer:
            self.assertEqual(peer.control(client.LIST)[1]["pid"], pid)
            peer.control(client.STOP)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        self.assertTrue(path.exists())  # it is systemd's

    def test_sandbox_is_said(self):
        said = subprocess.run([PREWARMD, "--print-sandbox"], capture_output=True, text=True,
                              env={"PREWARM_RUNTIME_DIR": str(self.runtime)}, check=True).stdout
        self.assertIn("no_new_privs: yes\n", said)
        self.assertIn("seccomp: yes\n", said)
        libc = ctypes.CDLL(None)
        version, landlock_create_ruleset = 1, 444
        abi = libc.syscall(landlock_create_ruleset, None, 0, version)
        self.assertIn(f"Landlock: ABI {abi}\n" if abi >= 2 else "Landlock: no\n", said)

    def test_sandbox_holds(self):
        """What a process in it sees of itself."""
        self.start()
        status = pathlib.Path(f"/proc/{self.service.pid}/status").read_text("ascii")
        self.assertIn("NoNewPrivs:\t1\n", status)
        self.assertIn("Seccomp:\t2\n", status)


if __name__ == "__main__":
    unittest.main()
