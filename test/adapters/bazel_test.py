#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`prewarm adapt bazel-json` and `bazel-proto`: workers made for Bazel, with one and with many
requests at a time.

    bazel_test.py PREWARM [UNITTEST ARGUMENTS]
"""

import os
import select
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from capers import LIMIT, Driver

HERE = Path(__file__).resolve().parent
PREWARM = ""


class Adapted:
    encoding = ""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="prewarm-adapters.")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, self.null)

    def start(self, *options, how=(), **rest):
        command = ["/usr/bin/python3", str(HERE / "bazel_tool.py"), self.encoding, *how]
        driver = Driver(
            PREWARM, f"bazel-{self.encoding}", command, options, stderr=subprocess.DEVNULL, **rest
        )
        self.addCleanup(driver.destroy)
        return driver

    def greeted(self, *options, **rest):
        driver = self.start(*options, **rest)
        answer = driver.version()
        self.assertEqual(answer.kind, "version", answer)
        return driver

    def invoke(self, driver, *arguments, fields=()):
        """The request's id, and where its standard output and error can be read."""
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        streams = (self.null, out_end, err_end)
        number = driver.invoke("lint", *arguments, streams=streams, fields=fields)
        os.close(out_end)
        os.close(err_end)
        return number, out, err

    def read_all(self, fd):
        data = b""
        while select.select([fd], [], [], LIMIT)[0]:
            part = os.read(fd, 65536)
            if not part:
                os.close(fd)
                return data
            data += part
        self.fail("no end of file")

    def run_tool(self, driver, *arguments, fields=()):
        _, out, err = self.invoke(driver, *arguments, fields=fields)
        errors = self.read_all(err)
        return self.read_all(out), errors, driver.receive()

    def fifo(self, name):
        path = os.path.join(self.directory, name)
        os.mkfifo(path)
        return path

    def status(self, answer):
        self.assertEqual(answer.kind, "status", answer)
        return {k: v for k, v in answer.fields.items() if k in ("exit", "signal", "reason")}

    # ---- One at a time -------------------------------------------------------------------------

    def test_output_and_status(self):
        driver = self.greeted()
        out, err, answer = self.run_tool(driver, "say", "a b", "\u00e4\n\"\\", "")
        self.assertEqual((out, err.decode()), (b"", 'a b \u00e4\n"\\ \n'))
        self.assertEqual(self.status(answer), {"exit": "0"})
        _, err, answer = self.run_tool(driver, "fail", "3")
        self.assertEqual((err, self.status(answer)), (b"failed\n", {"exit": "3"}))
        self.assertEqual(self.status(self.run_tool(driver, "fail", "256")[2]), {"exit": "1"})
        self.assertEqual(self.status(self.run_tool(driver, "fail", "-1")[2]), {"exit": "255"})
        self.assertEqual(driver.close(), 0)

    def test_output_to_stdout(self):
        driver = self.greeted("--output=stdout")
        self.assertEqual(self.run_tool(driver, "say", "x")[:2], (b"x\n", b""))
        self.assertEqual(driver.close(), 0)

    def test_much_output(self):
        driver = self.greeted()
        _, err, answer = self.run_tool(driver, "big", "1000000")
        self.assertEqual((err, self.status(answer)), (b"x" * 1_000_000, {"exit": "0"}))
        self.assertEqual(driver.close(), 0)

    def test_many_requests_leave_nothing(self):
        driver = self.greeted()
        self.run_tool(driver, "say", "x")
        before = driver.descriptors(), driver.files()
        for i in range(50):
            self.assertEqual(self.run_tool(driver, "say", str(i))[1], b"%d\n" % i)
        self.assertEqual((driver.descriptors(), driver.files()), before)
        self.assertEqual(driver.threads(), 1)
        self.assertEqual(driver.close(), 0)

    def test_argument_file(self):
        driver = self.greeted("--argfile")
        self.assertEqual(self.run_tool(driver, "say", "a b", "c")[1], b"a b c\n")
        self.assertEqual(driver.files(), [])
        answer = self.run_tool(driver, "say", "a\nb")[2]
        self.assertEqual((answer.kind, answer.fields["reason"]), ("error", "refused"))
        self.assertEqual(driver.close(), 0)

    def test_other_directories_and_arguments_are_refused(self):
        driver = self.greeted(cwd="/usr")
        self.assertEqual(self.run_tool(driver, "where", fields=[("cwd", "/usr")])[1], b"/usr\n")
        _, _, answer = self.run_tool(driver, "where", fields=[("cwd", "/")])
        self.assertEqual((answer.kind, answer.fields["reason"]), ("error", "cwd"))
        same, other = ("umask", "0022"), ("umask", "0027")
        self.assertEqual(self.run_tool(driver, "say", "x", fields=[same])[1], b"x\n")
        _, _, answer = self.run_tool(driver, "say", "x", fields=[other])
        self.assertEqual((answer.kind, answer.fields["reason"]), ("error", "refused"))
        _, _, answer = self.run_tool(driver, "say", os.fsdecode(b"\xff"))
        self.assertEqual((answer.kind, answer.fields["reason"]), ("error", "refused"))
        self.assertEqual(driver.close(), 0)

    def test_umask(self):
        driver = self.greeted("--umask=0027")
        path = os.path.join(self.directory, "made")
        self.run_tool(driver, "make", path, fields=[("umask", "0027")])
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o640)
        self.assertEqual(driver.close(), 0)

    def test_end_in_mid_request(self):
        for arguments, status in (
            (("exit", "5"), {"exit": "5"}),
            (("kill", str(int(signal.SIGKILL))), {"signal": str(int(signal.SIGKILL))}),
        ):
            driver = self.greeted()
            answer = self.run_tool(driver, *arguments)[2]
            self.assertEqual(self.status(answer), status)
            self.assertIn("retire", answer.fields)
            self.assertIsNone(driver.receive())
            self.assertEqual(driver.close(), 0)

    def test_a_request_that_was_not_seen_was_not_run(self):
        driver = self.greeted(how=["reads-nothing"])
        self.invoke_quietly(driver, "say", "x")
        driver.send("echo")
        self.assertEqual(driver.receive().kind, "echo")
        (tool,) = driver.others()
        os.kill(tool, signal.SIGKILL)
        answer = driver.receive()
        self.assertEqual((answer.kind, answer.fields["reason"]), ("error", "refused"))
        self.assertEqual(driver.close(), 0)

    def invoke_quietly(self, driver, *arguments):
        return driver.invoke("lint", *arguments, streams=(self.null,) * 3)

    def test_garbage(self):
        driver = self.greeted()
        answer = self.run_tool(driver, "garbage")[2]
        self.assertEqual(self.status(answer), {"exit": "125", "reason": "protocol"})
        self.assertIsNone(driver.receive())
        self.assertEqual(driver.close(), 1)

    def test_a_second_answer(self):
        driver = self.greeted()
        self.assertEqual(self.status(self.run_tool(driver, "twice")[2]), {"exit": "0"})
        self.assertIsNone(driver.receive())
        self.assertEqual(driver.close(), 1)

    def test_signal_without_cancel(self):
        driver = self.greeted()
        path = self.fifo("hanging")
        number = self.invoke_quietly(driver, "hang", path)
        self.assertEqual(Path(path).read_text(encoding="ascii"), "hanging\n")
        driver.signal(number, signal.SIGWINCH)
        driver.signal(number, signal.SIGINT)
        self.assertEqual(self.status(driver.receive()), {"signal": "2"})
        self.assertEqual(driver.close(), 0)

    def test_signal_with_cancel(self):
        driver = self.greeted("--cancel")
        path = self.fifo("hanging")
        number = self.invoke_quietly(driver, "hang", path)
        self.assertEqual(Path(path).read_text(encoding="ascii"), "hanging\n")
        driver.signal(number, signal.SIGTERM)
        answer = driver.receive()
        self.assertEqual(self.status(answer), {"signal": "15"})
        self.assertNotIn("retire", answer.fields)
        self.assertEqual(self.run_tool(driver, "say", "next")[1], b"next\n")
        self.assertEqual(driver.close(), 0)

    def test_a_worker_that_ends_at_once(self):
        driver = self.start(how=["dies"])
        # There is no greeting: either the end was seen before, or it is seen now.
        driver.version()
        self.assertIsNone(driver.receive())
        self.assertIn(driver.close(), (0, 1))

    def test_no_such_tool(self):
        driver = Driver(PREWARM, f"bazel-{self.encoding}", ["/nowhere/tool"])
        answer = driver.version()
        self.assertEqual((answer.kind, answer.fields["reason"]), ("error", "refused"))
        self.assertEqual(driver.close(), 1)

    def test_driver_goes(self):
        driver = self.greeted()
        path = self.fifo("hanging")
        self.invoke_quietly(driver, "hang", path)
        self.assertEqual(Path(path).read_text(encoding="ascii"), "hanging\n")
        self.assertEqual(driver.close(), 0)

    # ---- Many at a time ------------------------------------------------------------------------

    def multiplexed(self, *options):
        driver = self.start("--multiplex=4", *options)
        self.assertIn(("feature", "concurrent 4"), driver.version().all_fields)
        return driver

    def waiting(self, driver, name, command="wait"):
        path = self.fifo(name)
        number = self.invoke_quietly(driver, command, path)
        Path(path).read_text(encoding="ascii")
        return number

    def test_answers_in_any_order(self):
        driver = self.multiplexed()
        waiting = {self.waiting(driver, str(i)) for i in range(3)}
        self.assertEqual(self.run_tool(driver, "say", "first")[1], b"first\n")
        release = self.invoke_quietly(driver, "release")
        answers = [driver.receive() for _ in range(4)]
        self.assertEqual({a.id for a in answers}, waiting | {release})
        self.assertTrue(all(self.status(a) == {"exit": "0"} for a in answers))
        self.assertEqual(driver.close(), 0)

    def test_more_than_it_takes(self):
        driver = self.multiplexed()
        for i in range(4):
            self.waiting(driver, str(i))
        _, _, answer = self.run_tool(driver, "say", "x")
        self.assertEqual((answer.kind, answer.fields["reason"]), ("error", "busy"))
        self.assertEqual(driver.close(), 0)

    def test_the_end_of_one_is_the_end_of_all(self):
        driver = self.multiplexed()
        numbers = {self.waiting(driver, str(i)) for i in range(2)}
        numbers.add(self.invoke_quietly(driver, "exit", "3"))
        answers = [driver.receive() for _ in range(3)]
        self.assertEqual({a.id for a in answers}, numbers)
        for answer in answers:
            self.assertEqual(self.status(answer), {"exit": "3", "reason": "worker-exited"})
        self.assertEqual(driver.close(), 0)

    def test_one_is_cancelled(self):
        driver = self.multiplexed("--cancel")
        hanging = self.waiting(driver, "hanging", "hang")
        waiting = self.waiting(driver, "waiting")
        driver.signal(hanging, signal.SIGINT)
        answer = driver.receive()
        self.assertEqual((answer.id, self.status(answer)), (hanging, {"signal": "2"}))
        self.invoke_quietly(driver, "release")
        self.assertIn(waiting, [driver.receive().id for _ in range(2)])
        self.assertEqual(driver.close(), 0)

    def test_one_that_cannot_be_cancelled(self):
        driver = self.multiplexed()
        hanging = self.waiting(driver, "hanging", "hang")
        waiting = self.waiting(driver, "waiting")
        driver.signal(hanging, signal.SIGINT)
        answers = {a.id: self.status(a) for a in (driver.receive(), driver.receive())}
        self.assertEqual(answers[hanging], {"signal": "2"})
        self.assertEqual(answers[waiting], {"signal": "9", "reason": "worker-exited"})
        self.assertEqual(driver.close(), 0)


class Example(unittest.TestCase):
    """The linter of examples/coproc says the same as a worker and by itself."""

    def test_same_either_way(self):
        tool = HERE.parents[1] / "examples/coproc/bazel-worker/pylint-quick"
        with tempfile.TemporaryDirectory(prefix="prewarm-adapters.") as directory:
            bad, good = Path(directory, "bad.py"), Path(directory, "good.py")
            bad.write_text("import os\ndef f(a=[]):\n    x = 1\n    return a == None\n")
            good.write_text("print(1)\n")
            driver = Driver(PREWARM, "bazel-json", [str(tool)], cwd=directory)
            self.addCleanup(driver.destroy)
            self.assertEqual(driver.version().kind, "version")
            null = os.open("/dev/null", os.O_RDWR)
            self.addCleanup(os.close, null)
            for arguments, status in (
                (["bad.py", "good.py"], 1), (["bad.py"], 1), (["good.py"], 0), (["none"], 2),
                ([], 2), (["--max-line", "3", "good.py"], 1),
            ):
                alone = subprocess.run([tool, *arguments], cwd=directory, capture_output=True)
                with tempfile.TemporaryFile() as file:
                    driver.invoke("pylint-quick", *arguments, streams=(null, null, file.fileno()))
                    answer = driver.receive()
                    file.seek(0)
                    self.assertEqual(file.read(), alone.stderr)
                self.assertEqual((alone.returncode, answer.fields["exit"]), (status, str(status)))
        self.assertEqual(driver.close(), 0)


class Json(Adapted, unittest.TestCase):
    encoding = "json"


class Proto(Adapted, unittest.TestCase):
    encoding = "proto"


if __name__ == "__main__":
    PREWARM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
