#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`prewarm adapt fcli` with a worker that does all it should, and all it should not.

    fcli_test.py PREWARM [UNITTEST ARGUMENTS]
"""

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from capers import LIMIT, Driver

HERE = Path(__file__).resolve().parent
PREWARM = ""


class Adapted(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="prewarm-adapters.")
        self.addCleanup(self.directory.cleanup)
        self.null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, self.null)

    def start(self, *options, how="well", greet=True, **rest):
        command = ["/usr/bin/python3", str(HERE / "fcli_tool.py"), how]
        driver = Driver(PREWARM, "fcli", command, options, stderr=subprocess.DEVNULL, **rest)
        self.addCleanup(driver.destroy)
        if greet:
            answer = driver.version()
            self.assertEqual(answer.kind, "version", answer)
            self.assertIn(("feature", "signal"), answer.all_fields)
        return driver

    def pipe(self):
        ends = os.pipe()
        for end in ends:
            self.addCleanup(self.close, end)
        return ends

    @staticmethod
    def close(fd):
        try:
            os.close(fd)
        except OSError:
            pass

    def file(self, content=b"", name="file"):
        path = os.path.join(self.directory.name, name)
        Path(path).write_bytes(content)
        fd = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, fd)
        return path, fd

    def read_all(self, fd):
        data = b""
        while select.select([fd], [], [], LIMIT)[0]:
            part = os.read(fd, 65536)
            if not part:
                return data
            data += part
        self.fail("no end of file")

    def read_line(self, fd):
        data = b""
        while not data.endswith(b"\n") and select.select([fd], [], [], LIMIT)[0]:
            data += os.read(fd, 1)
        return data

    def run_tool(self, driver, *arguments, stdin=None, fields=(), err=None):
        """Output and answer; the output is a pipe's."""
        reading, writing = self.pipe()
        streams = (self.null if stdin is None else stdin, writing, err or self.null)
        driver.invoke("tool", *arguments, streams=streams, fields=fields)
        os.close(writing)
        data = self.read_all(reading)
        os.close(reading)
        return data, driver.receive()

    def assert_status(self, answer, **fields):
        self.assertEqual(answer.kind, "status", answer)
        fields = {name: str(value) for name, value in fields.items()}
        given = {k: v for k, v in answer.fields.items() if k in ("exit", "signal", "reason")}
        self.assertEqual(given, fields, answer)


class Invocations(Adapted):
    def test_output_and_status(self):
        driver = self.start()
        data, answer = self.run_tool(driver, "print", "a", "b c\nd\\n")
        self.assertEqual(data, b"a b c\nd\\n\n")
        self.assert_status(answer, exit=0)
        self.assertEqual(driver.close(), 0)

    def test_many_requests_leave_no_descriptor_thread_or_file(self):
        driver = self.start()
        self.run_tool(driver, "print", "first")
        before = driver.descriptors(), driver.files()
        for i in range(50):
            data, answer = self.run_tool(driver, "print", str(i))
            self.assertEqual(data, b"%d\n" % i)
            self.assert_status(answer, exit=0)
        self.assertEqual((driver.descriptors(), driver.files()), before)
        self.assertEqual(driver.threads(), 1)
        self.assertEqual(driver.close(), 0)

    def test_environment_directory_and_umask(self):
        driver = self.start(env={"BASE": "base"})
        fields = [("env", "ONE=1\n2"), ("cwd", "/usr"), ("umask", "0077")]
        self.assertEqual(self.run_tool(driver, "env", "ONE", fields=fields)[0], b"1\n2\n")
        self.assertEqual(self.run_tool(driver, "env", "ONE")[0], b"(unset)\n")
        self.assertEqual(self.run_tool(driver, "env", "BASE")[0], b"base\n")
        self.assertEqual(self.run_tool(driver, "env", "CAPERS_FD")[0], b"(unset)\n")
        cleared = [("clear-env", "")]
        self.assertEqual(self.run_tool(driver, "env", "BASE", fields=cleared)[0], b"(unset)\n")
        self.assertEqual(self.run_tool(driver, "where", fields=fields)[0], b"/usr 0077\n")
        self.assertEqual(driver.close(), 0)

    def test_input_from_a_pipe_ends(self):
        driver = self.start()
        reading, writing = self.pipe()
        data = bytes(range(256)) * 1000
        sent = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=writing)
        os.close(writing)
        request, answers = self.pipe()
        driver.invoke("tool", "cat", streams=(reading, answers, self.null))
        os.close(answers)
        os.close(reading)
        with sent:
            sent.stdin.write(data)
        self.assertEqual(self.read_all(request), data)
        self.assert_status(driver.receive(), exit=0)
        self.assertEqual(driver.close(), 0)

    def test_input_from_a_file_is_put_back(self):
        driver = self.start()
        _, fd = self.file(b"0123456789" * 30000)
        os.lseek(fd, 5, os.SEEK_SET)
        data, answer = self.run_tool(driver, "take", "7", stdin=fd)
        self.assertEqual(data, b"5678901")
        self.assert_status(answer, exit=0)
        self.assertEqual(os.lseek(fd, 0, os.SEEK_CUR), 12)
        data, answer = self.run_tool(driver, "cat", stdin=fd)
        self.assertEqual(data, (b"0123456789" * 30000)[12:])
        # A tool that doesn't read leaves it where it is, and so does one that isn't run.
        os.lseek(fd, 3, os.SEEK_SET)
        self.run_tool(driver, "print", "x", stdin=fd)
        self.run_tool(driver, "refuse", stdin=fd)
        self.assertEqual(os.lseek(fd, 0, os.SEEK_CUR), 3)
        self.assertEqual(driver.close(), 0)

    def test_small_input_is_put_back_when_its_end_was_seen(self):
        driver = self.start()
        _, fd = self.file(b"one\ntwo\n")
        data, _ = self.run_tool(driver, "take", "4", stdin=fd)
        self.assertEqual(data, b"one\n")
        self.assertEqual(os.lseek(fd, 0, os.SEEK_CUR), 4)
        self.assertEqual(driver.close(), 0)

    def test_input_that_shrinks(self):
        driver = self.start()
        path, fd = self.file(b"x" * 1_000_000)
        reading, writing = self.pipe()
        driver.invoke("tool", "count", streams=(fd, writing, self.null))
        os.truncate(path, 10)
        os.close(writing)
        self.assertTrue(self.read_all(reading).strip().isdigit())
        self.assert_status(driver.receive(), exit=0)
        self.assertEqual(driver.close(), 0)

    def test_no_stdin(self):
        driver = self.start("--no-stdin")
        _, fd = self.file(b"not for you")
        data, _ = self.run_tool(driver, "count", stdin=fd)
        self.assertEqual(data, b"0\n")
        self.assertEqual(os.lseek(fd, 0, os.SEEK_CUR), 0)
        self.assertEqual(driver.close(), 0)

    def test_one_open_file_for_both_outputs_keeps_their_order(self):
        driver = self.start()
        path, fd = self.file()
        driver.invoke("tool", "both", "200", streams=(self.null, fd, fd))
        self.assert_status(driver.receive(), exit=0)
        self.assertEqual(Path(path).read_bytes(), b"".join(b"%d\n" % i for i in range(200)))
        self.assertEqual(driver.close(), 0)

    def test_two_outputs_stay_two(self):
        driver = self.start()
        path, err = self.file()
        data, _ = self.run_tool(driver, "both", "4", err=err)
        self.assertEqual((data, Path(path).read_bytes()), (b"0\n2\n", b"1\n3\n"))
        self.assertEqual(driver.close(), 0)

    def test_appends_where_the_caller_appends(self):
        driver = self.start()
        path, _ = self.file(b"before\n")
        fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        driver.invoke("tool", "print", "after", streams=(self.null, fd, self.null))
        os.close(fd)
        self.assert_status(driver.receive(), exit=0)
        self.assertEqual(Path(path).read_bytes(), b"before\nafter\n")
        self.assertEqual(driver.close(), 0)

    def test_sockets_are_streams_too(self):
        driver = self.start()
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                driver.invoke("tool", "cat", streams=(theirs.fileno(), theirs.fileno(), self.null))
            ours.sendall(b"text")
            ours.shutdown(socket.SHUT_WR)
            self.assertEqual(self.read_all(ours.fileno()), b"text")
        self.assert_status(driver.receive(), exit=0)
        self.assertEqual(driver.close(), 0)

    def test_a_terminal_is_one(self):
        driver = self.start()
        ours, theirs = pty.openpty()
        driver.invoke("tool", "is-a-terminal", streams=(theirs, theirs, theirs))
        self.assert_status(driver.receive(), exit=0)
        os.close(theirs)
        self.assertEqual(os.read(ours, 100), b"111\r\n")
        os.close(ours)
        self.assertEqual(driver.close(), 0)

    def test_much_output_to_a_slow_reader(self):
        driver = self.start()
        reading, writing = self.pipe()
        driver.invoke("tool", "big", "40", streams=(self.null, writing, self.null))
        os.close(writing)
        self.assertEqual(len(self.read_all(reading)), 40 * 65536)
        self.assert_status(driver.receive(), exit=0)
        self.assertEqual(driver.close(), 0)

    def test_other_requests(self):
        driver = self.start()
        number = driver.send("echo", [("a", "x\ny"), ("a", "")])
        answer = driver.receive()
        self.assertEqual((answer.kind, answer.id), ("echo", number))
        self.assertEqual(answer.all_fields, [("a", "x\ny"), ("a", "")])
        driver.send("cd", [("cwd", "/usr")])
        self.assert_status(driver.receive(), exit=0)
        self.assertTrue(self.run_tool(driver, "where")[0].startswith(b"/usr "))
        driver.send("frobnicate")
        self.assertEqual(driver.receive().fields["reason"], "unknown-request")
        self.assertEqual(driver.close(), 0)


class Ends(Adapted):
    def test_exit_in_mid_request_is_the_status(self):
        for arguments, fields in (
            (("exit", "5"), {"exit": 5}),
            (("exit", "0"), {"exit": 0}),
            (("exit-before", "6"), {"exit": 6}),
            (("kill", str(int(signal.SIGSEGV))), {"signal": int(signal.SIGSEGV)}),
            (("kill", str(int(signal.SIGKILL))), {"signal": int(signal.SIGKILL)}),
        ):
            with self.subTest(arguments):
                driver = self.start()
                _, answer = self.run_tool(driver, *arguments)
                self.assert_status(answer, **fields)
                self.assertIn("retire", answer.fields)
                self.assertIsNone(driver.receive())
                self.assertEqual(driver.close(), 0)

    def test_input_is_put_back_after_a_kill(self):
        driver = self.start()
        _, fd = self.file(b"abcdef")
        _, answer = self.run_tool(driver, "wait-then-exit", "0", stdin=fd)
        self.assert_status(answer, exit=0)
        self.assertEqual(os.lseek(fd, 0, os.SEEK_CUR), 1)
        _, answer = self.run_tool(driver, "kill", "9", stdin=fd)
        self.assert_status(answer, signal=9)
        self.assertEqual(os.lseek(fd, 0, os.SEEK_CUR), 1)
        self.assertEqual(driver.close(), 0)

    def test_exit_between_requests_ends_the_adapter(self):
        driver = self.start(how="exits-then", greet=False)
        # Its end may be seen before the driver was heard.
        if driver.version() is not None:
            self.assertIsNone(driver.receive())
        self.assertEqual(driver.close(), 0)

    def test_a_tool_that_ends_after_its_answer(self):
        driver = self.start()
        _, answer = self.run_tool(driver, "exit-after")
        self.assert_status(answer, exit=0)
        self.assertIsNone(driver.receive())
        self.assertEqual(driver.close(), 0)

    def test_a_request_that_was_not_seen_was_not_run(self):
        driver = self.start(how="reads-no-more")
        driver.invoke("tool", "print", "x", streams=(self.null,) * 3)
        # The answer to another request says that the adapter has read this one.
        driver.send("echo")
        self.assertEqual(driver.receive().kind, "echo")
        (tool,) = driver.others()
        os.kill(tool, signal.SIGKILL)
        answer = driver.receive()
        self.assertEqual((answer.kind, answer.fields["reason"]), ("error", "refused"), answer)
        self.assertEqual(driver.close(), 0)

    def test_a_signal_for_a_request_that_was_not_seen_is_not_lost(self):
        driver = self.start(how="reads-no-more")
        request = driver.invoke("tool", "print", "x", streams=(self.null,) * 3)
        driver.signal(request, signal.SIGTERM)
        self.assert_status(driver.receive(), signal=int(signal.SIGTERM))
        self.assertEqual(driver.close(), 0)

    def test_the_tools_refusal_is_passed_on(self):
        driver = self.start()
        _, answer = self.run_tool(driver, "refuse")
        self.assertEqual((answer.kind, answer.fields["message"]), ("error", "not today"))
        self.assertEqual(self.run_tool(driver, "print", "next")[0], b"next\n")
        self.assertEqual(driver.close(), 0)

    def test_driver_goes_while_the_tool_works(self):
        driver = self.start()
        reading, writing = self.pipe()
        driver.invoke("tool", "hang", streams=(self.null, writing, self.null))
        self.assertEqual(self.read_line(reading), b"ready\n")
        self.assertEqual(driver.close(), 0)

    def test_a_driver_that_makes_no_sense(self):
        for data in (b"nonsense", b"3:abc,", b"5:a"):
            driver = self.start()
            driver.socket.sendall(data)
            driver.socket.shutdown(socket.SHUT_WR)
            self.assertIsNone(driver.receive())
            self.assertEqual(driver.close(), 1)

    def test_driver_that_only_sends_no_more_gets_its_answer(self):
        driver = self.start()
        reading, writing = self.pipe()
        driver.invoke("tool", "hang", streams=(self.null, writing, self.null))
        driver.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(self.read_line(reading), b"ready\n")
        (tool,) = driver.others()
        os.kill(tool, signal.SIGUSR1)
        self.assert_status(driver.receive(), signal=int(signal.SIGUSR1))
        self.assertEqual(driver.close(), 0)

    def test_adapter_killed_takes_its_tool_along(self):
        driver = self.start()
        reading, writing = self.pipe()
        driver.invoke("tool", "hang", streams=(self.null, writing, self.null))
        os.close(writing)
        self.assertEqual(self.read_line(reading), b"ready\n")
        (tool,) = driver.others()
        watched = os.pidfd_open(tool)
        self.addCleanup(os.close, watched)
        driver.process.kill()
        driver.process.wait(LIMIT)
        if not select.select([watched], [], [], LIMIT)[0]:
            os.kill(tool, signal.SIGKILL)
            self.fail("the tool goes on")
        self.assertEqual(self.read_all(reading), b"")
        driver.destroy()


class Signals(Adapted):
    def hanging(self, driver, command="hang"):
        reading, writing = self.pipe()
        request = driver.invoke("tool", command, streams=(self.null, writing, self.null))
        os.close(writing)
        self.assertEqual(self.read_line(reading), b"ready\n")
        return request, reading

    def test_signals_end_the_request(self):
        for name in ("INT", "TERM", "HUP", "KILL", "USR1"):
            number = signal.Signals[f"SIG{name}"]
            with self.subTest(number):
                driver = self.start()
                request, _ = self.hanging(driver)
                driver.signal(request, number)
                self.assert_status(driver.receive(), signal=int(number))
                self.assertEqual(driver.close(), 0)

    def test_a_tool_may_catch_one(self):
        driver = self.start()
        request, reading = self.hanging(driver, "catch")
        driver.signal(request, signal.SIGWINCH)
        driver.signal(request + 1, signal.SIGKILL)  # of no request
        driver.signal(request, signal.SIGINT)
        self.assert_status(driver.receive(), exit=7)
        self.assertEqual(self.read_all(reading), b"caught\n")
        self.assertEqual(driver.close(), 0)

    def test_a_tool_that_ignores_signals_is_killed(self):
        driver = self.start()
        request, _ = self.hanging(driver, "stubborn")
        driver.signal(request, signal.SIGTERM)
        self.assert_status(driver.receive(), signal=int(signal.SIGKILL))
        self.assertEqual(driver.close(), 0)

    def test_signals_to_the_group_reach_the_tool_and_its_end_is_told(self):
        driver = self.start()
        self.hanging(driver)
        os.killpg(driver.process.pid, signal.SIGINT)
        self.assert_status(driver.receive(), signal=int(signal.SIGINT))
        self.assertEqual(driver.close(), 0)

    def test_term_ends_an_adapter_without_requests(self):
        driver = self.start()
        os.kill(driver.process.pid, signal.SIGTERM)
        self.assertIsNone(driver.receive())
        self.assertEqual(driver.close(), 0)

    def test_a_reader_that_stopped_reading_holds_up_no_signal(self):
        driver = self.start()
        reading, writing = self.pipe()
        request = driver.invoke("tool", "big", "100", streams=(self.null, writing, self.null))
        os.close(writing)
        self.assertTrue(select.select([reading], [], [], LIMIT)[0])
        driver.signal(request, signal.SIGINT)
        self.assert_status(driver.receive(), signal=int(signal.SIGINT))
        self.assertEqual(driver.close(), 0)


class Faults(Adapted):
    def test_answers_that_are_none(self):
        for what in ("garbage", "other-id"):
            with self.subTest(what):
                driver = self.start()
                _, answer = self.run_tool(driver, what)
                self.assert_status(answer, exit=125, reason="protocol")
                self.assertIsNone(driver.receive())
                self.assertEqual(driver.close(), 1)

    def test_a_second_answer_ends_the_tool(self):
        driver = self.start()
        _, answer = self.run_tool(driver, "twice")
        self.assert_status(answer, exit=0)
        self.assertIsNone(driver.receive())
        self.assertEqual(driver.close(), 1)

    def test_answers_closed_while_it_runs(self):
        driver = self.start()
        _, answer = self.run_tool(driver, "close-answers")
        self.assert_status(answer, exit=125, reason="protocol")
        self.assertEqual(driver.close(), 1)

    def test_output_that_nobody_reads_any_more(self):
        driver = self.start()
        reading, writing = self.pipe()
        driver.invoke("tool", "big", "100", streams=(self.null, writing, self.null))
        os.close(writing)
        os.read(reading, 10)
        os.close(reading)
        self.assert_status(driver.receive(), exit=9)
        self.assertEqual(self.run_tool(driver, "print", "next")[0], b"next\n")
        self.assertEqual(driver.close(), 0)

    def test_output_that_cannot_be_written(self):
        driver = self.start()
        full = os.open("/dev/full", os.O_WRONLY)
        driver.invoke("tool", "print", "lost", streams=(self.null, full, self.null))
        os.close(full)
        self.assert_status(driver.receive(), exit=125, reason="output")
        self.assertEqual(driver.close(), 0)

    def test_a_child_that_keeps_the_output(self):
        driver = self.start()
        fifo = os.path.join(self.directory.name, "release")
        os.mkfifo(fifo)
        data, answer = self.run_tool(driver, "hold", fifo)
        self.assertEqual(data, b"held\n")
        self.assert_status(answer, exit=0)
        self.assertEqual(self.run_tool(driver, "print", "next")[0], b"next\n")
        (child,) = [pid for pid in driver.others() if self.waits_for(pid)]
        watched = os.pidfd_open(child)
        os.close(os.open(fifo, os.O_WRONLY))
        self.assertTrue(select.select([watched], [], [], LIMIT)[0])
        os.close(watched)
        self.assertEqual(driver.close(), 0)

    @staticmethod
    def waits_for(pid):
        """Whether it is the tool's child, and not the tool."""
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            parent = int(file.read().rpartition(")")[2].split()[1])
        with open(f"/proc/{parent}/cmdline", "rb") as file:
            return b"fcli_tool" in file.read().split(b"\0")[1]

    def test_a_stream_replaced_by_a_file(self):
        driver = self.start()
        _, answer = self.run_tool(driver, "replace")
        self.assert_status(answer, exit=125, reason="output")
        self.assertEqual(self.run_tool(driver, "print", "next")[0], b"next\n")
        self.assertEqual(driver.close(), 0)

    def test_request_fifos_replaced_or_removed(self):
        driver = self.start()
        (directory,) = Path(driver.runtime).iterdir()
        (directory / "requests").unlink()
        (directory / "answers").unlink()
        (directory / "answers").write_text("x", encoding="ascii")
        self.assertEqual(self.run_tool(driver, "print", "next")[0], b"next\n")
        self.assertEqual(driver.close(), 0)

    def test_no_fifo_can_be_made(self):
        driver = self.start()
        (directory,) = Path(driver.runtime).iterdir()
        directory.rename(Path(driver.runtime) / "elsewhere")
        _, answer = self.run_tool(driver, "print", "x")
        self.assertEqual((answer.kind, answer.fields["reason"]), ("error", "refused"), answer)
        self.assertIn("make a FIFO", answer.fields["message"])
        (Path(driver.runtime) / "elsewhere").rename(directory)
        self.assertEqual(self.run_tool(driver, "print", "next")[0], b"next\n")
        self.assertEqual(driver.close(), 0)


class Starts(Adapted):
    def refused(self, driver):
        answer = driver.version()
        self.assertEqual((answer.kind, answer.fields["reason"]), ("error", "refused"), answer)
        self.assertIsNone(driver.receive())
        self.assertEqual(driver.close(), 1)
        return answer.fields["message"]

    def test_a_tool_that_ends(self):
        why = self.refused(self.start(how="dies", greet=False))
        self.assertIn("exited with 1", why)
        self.assertIn("no such luck", why)

    def test_a_tool_that_says_something_else(self):
        self.assertIn("header", self.refused(self.start(how="babbles", greet=False)))

    def test_a_tool_that_says_nothing(self):
        driver = self.start("--start-seconds=1", how="hangs", greet=False)
        self.assertIn("within 1 s", self.refused(driver))

    def test_no_such_tool(self):
        driver = Driver(PREWARM, "fcli", ["/nowhere/tool"], stderr=subprocess.DEVNULL)
        self.assertIn("/nowhere/tool", self.refused(driver))

    def test_driver_goes_before_the_tool_has_started(self):
        driver = self.start(how="hangs", greet=False)
        self.assertEqual(driver.close(), 0)

    def test_not_started_by_a_driver(self):
        for protocol, word in (("fcli", "CAPERS_FD"), ("gopher", "bazel-json")):
            command = [PREWARM, "adapt", protocol, "--", "/bin/true"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
            self.assertEqual(done.returncode, 2)
            self.assertIn(word, done.stderr)


if __name__ == "__main__":
    PREWARM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
