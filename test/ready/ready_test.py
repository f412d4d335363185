#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ready_test.py PREWARM [TEST…]: a Python tool that is held at its ready point by
`prewarm adapt ready` does what it does when it is started anew (tool.py), and the adapter keeps to
the protocol, whatever happens to what it holds.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from typing import Any, Callable

from capers import LIMIT_SECONDS, Worker
from runs import Streams, held, members, status_of, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
SDK = os.path.join(HERE, "../../sdk/python")
TOOL = os.path.join(HERE, "tool.py")
PYTHON = "/usr/bin/python3"
PREWARM = ""
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8",
               "ODD": "a=b\\\nc\tü"}


class ReadyTestCase(unittest.TestCase):
    environment: dict[str, str] = ENVIRONMENT

    def setUp(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="prewarm-ready-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.errors = tempfile.TemporaryFile()
        self.addCleanup(self.errors.close)

    def worker(self, command: list[str] = [PYTHON, TOOL], *, options: list[str] = [],
               environment: dict[str, str] | None = None, **more: Any) -> Worker:
        worker = Worker([PREWARM, "adapt", "ready", *options, "--", *command],
                        self.environment if environment is None else environment,
                        self.directory, stderr=self.errors, **more)
        self.addCleanup(self.close, worker)
        return worker

    def close(self, worker: Worker) -> None:
        """Nothing is left when it has ended."""
        worker.close()
        wait_until(lambda: not members(worker.process.pid))

    def greet(self, worker: Worker) -> dict[str, str]:
        kind, fields = worker.ask("version", [("version", 1)])
        self.assertEqual(kind, "version")
        return fields

    def ready_worker(self, *arguments: Any, **more: Any) -> Worker:
        worker = self.worker(*arguments, **more)
        self.assertIn("adapt ready", self.greet(worker)["implementation"])
        return worker

    def by_batch(self, arguments: list[str], environment: dict[str, str] | None = None,
                 standard_input: bytes = b"", joined: bool = False,
                 **more: Any) -> tuple[dict[str, str], list[str]]:
        streams = Streams(standard_input, joined)
        done = subprocess.Popen(
            [PYTHON, TOOL, *arguments], cwd=self.directory, umask=0o27, start_new_session=True,
            env=self.environment if environment is None else environment,
            **dict(zip(("stdin", "stdout", "stderr"), streams.descriptors)), **more)
        done.wait(LIMIT_SECONDS)
        return status_of(done.returncode), streams.results()

    def by_worker(self, worker: Worker, arguments: list[str],
                  environment: dict[str, str] | None = None, standard_input: bytes = b"",
                  joined: bool = False) -> tuple[dict[str, str], list[str]]:
        streams = Streams(standard_input, joined)
        identity = worker.start([TOOL, *arguments],
                                self.environment if environment is None else environment,
                                self.directory, 0o27, streams.descriptors)
        kind, answered, fields = worker.receive()
        self.assertEqual((kind, answered), ("status", identity), fields)
        status = {name: value for name, value in fields if name in ("exit", "signal")}
        return status, streams.results()


class SameTest(ReadyTestCase):
    """Batch and ready side by side."""

    def check(self, *arguments: str, environment: dict[str, str] | None = None,
              started_in: dict[str, str] | None = None, compare: Callable[..., Any] = lambda r: r,
              preexec_fn: Callable[[], Any] | None = None, **more: Any) -> None:
        worker = self.ready_worker(environment=started_in or environment, preexec_fn=preexec_fn)
        for _ in range(2):
            batch = self.by_batch(list(arguments), environment, preexec_fn=preexec_fn, **more)
            ready = self.by_worker(worker, list(arguments), environment, **more)
            self.assertEqual(compare(batch), compare(ready))

    def same_state(self, **more: Any) -> None:
        def parsed(result: tuple[dict[str, str], list[str]]) -> Any:
            self.assertEqual(result[0], {"exit": "0"}, result[1])
            return json.loads(result[1][0]), result[1][1]

        self.maxDiff = None
        self.check("state", "", "two words", "ü\\\n", compare=parsed, **more)

    def test_state(self) -> None:
        self.same_state(standard_input=b"x")

    def test_state_in_the_c_locale(self) -> None:
        self.same_state(environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})

    def test_state_where_the_locale_is_coerced(self) -> None:
        self.same_state(environment={"PATH": "/usr/bin:/bin"})

    def test_state_in_another_environment_than_it_was_started_in(self) -> None:
        self.same_state(environment={"B": "1", "A": "", **self.environment, "ODD": "other"},
                        started_in=self.environment)

    def test_state_with_settings_of_python(self) -> None:
        self.same_state(environment={
            **self.environment, "PYTHONIOENCODING": "latin-1:replace", "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore", "PYTHONHASHSEED": "7", "TZ": "Europe/Berlin"})

    def test_state_with_ignored_and_blocked_signals(self) -> None:
        def change() -> None:
            for number in (signal.SIGINT, signal.SIGUSR2, signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGALRM])

        self.same_state(preexec_fn=change)

    def test_state_with_handlers_of_its_own(self) -> None:
        def change() -> None:
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

        self.same_state(environment={**self.environment, "TOOL_SIGNALS": "1"}, preexec_fn=change)

    def test_ends(self) -> None:
        worker = self.ready_worker()
        for how in ("none", "3", "300", "text", "error", "now", "kill", "interrupt", "terminate",
                    "pipe", "abort", "usage", "stack"):
            with self.subTest(how):
                self.assertEqual(self.by_batch(["end", how]), self.by_worker(worker, ["end", how]))

    def test_a_copy_can_do_what_a_process_can(self) -> None:
        self.check("works")

    def test_standard_input(self) -> None:
        text = "line ü\n".encode() * 5000 + b"\xff"
        self.check("lines", standard_input=b"a\nb")
        self.check("copy", standard_input=text)
        self.check("copy", environment={**self.environment, "PYTHONIOENCODING": ":surrogateescape"},
                   standard_input=text)

    def test_order_of_output(self) -> None:
        self.check("order", joined=True)
        self.check("order")

    def test_the_end_of_the_interpreter(self) -> None:
        self.check("at_exit", joined=True)

    def test_ends_that_can_be_noticed(self) -> None:
        for what in ("file", "file in a list", "file of a file", "read file",
                     "read file with a warning", "object", "object in a module", "cycle",
                     "reference", "generator", "database", "class without a collector", "nothing"):
            with self.subTest(what):
                self.check("leave", what, joined=True)

    def test_a_stream_that_was_detached(self) -> None:
        self.check("end", "error", environment={**self.environment, "TOOL_DETACH": "1"})
        self.check("big", "10", environment={**self.environment, "TOOL_DETACH": "1"})

    def test_large_arguments(self) -> None:
        self.check("state", *["x" * 1000] * 60, compare=lambda r: json.loads(r[1][0])["argv"])


class StreamsTest(ReadyTestCase):
    def test_a_terminal(self) -> None:
        worker = self.ready_worker()
        seen = []
        for ready in (False, True):
            ours, theirs = pty.openpty()
            if ready:
                worker.start([TOOL, "state"], self.environment, self.directory, 0o27, [theirs] * 3)
                os.close(theirs)
            else:
                process = subprocess.Popen(
                    [PYTHON, TOOL, "state"], cwd=self.directory, umask=0o27, env=self.environment,
                    stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
                os.close(theirs)
            text = b""
            while True:
                try:
                    data = os.read(ours, 65536)
                except OSError:
                    break
                if not data:
                    break
                text += data
            os.close(ours)
            if ready:
                self.assertEqual(worker.receive()[0], "status")
            else:
                process.wait(LIMIT_SECONDS)
            seen.append({key: value for key, value in json.loads(text).items()
                         if key in ("stdin", "stdout", "stderr")})
        self.assertTrue(seen[0]["stdout"]["line buffering"])
        self.assertEqual(seen[0], seen[1])

    def test_a_pipe_that_nobody_reads(self) -> None:
        worker = self.ready_worker()
        statuses, messages = [], []
        for ready in (False, True):
            out, into = os.pipe()
            os.close(out)
            with tempfile.TemporaryFile() as errors, open(os.devnull) as null:
                if ready:
                    worker.start([TOOL, "big", "100"], self.environment, self.directory, 0o27,
                                 [null.fileno(), into, errors.fileno()])
                    statuses.append(dict(worker.receive()[2])["exit"])
                else:
                    statuses.append(str(subprocess.run(
                        [PYTHON, TOOL, "big", "100"], env=self.environment, stdin=null,
                        stdout=into, stderr=errors).returncode))
                os.close(into)
                errors.seek(0)
                messages.append(errors.read())
        self.assertEqual(statuses, ["120", "120"])
        self.assertEqual(messages[0], messages[1])

    def test_no_end_of_a_pipe_stays_open(self) -> None:
        worker = self.ready_worker()
        out, into = os.pipe()
        with open(os.devnull) as null:
            worker.start([TOOL, "big", "100000"], self.environment, self.directory, 0o27,
                         [null.fileno(), into, into])
        os.close(into)
        with open(out, "rb") as pipe:
            self.assertEqual(len(pipe.read()), 100000)
        self.assertEqual(worker.receive()[0], "status")


class FreshTest(ReadyTestCase):
    def test_what_must_be_another_each_time_is(self) -> None:
        worker = self.ready_worker()
        seen = [json.loads(self.by_worker(worker, ["fresh"])[1][0]) for _ in range(4)]
        for values in zip(*seen):
            self.assertEqual(len(set(values)), 4, values)


class WorkerTest(ReadyTestCase):
    def start(self, worker: Worker, arguments: list[str]) -> int:
        with open(os.devnull, "r+") as null:
            return worker.start([TOOL, *arguments], self.environment, self.directory, 0o27,
                                [null.fileno()] * 3)

    def wait_running(self, name: str) -> tuple[str, int]:
        """A path for `wait`; the process that waits when it does."""
        path = os.path.join(self.directory, name)

        def pid() -> int:
            try:
                with open(path) as file:
                    return int(file.read() or 0)
            except FileNotFoundError:
                return 0

        return path, wait_until(pid)

    def test_greeting(self) -> None:
        worker = self.worker()
        worker.send("version", [("version", 1), ("version", 9)])
        kind, _, fields = worker.receive()
        self.assertEqual(kind, "version")
        features = sorted(value for name, value in fields if name == "feature")
        self.assertEqual(features, ["concurrent 64", "fresh", "signal"])
        self.assertEqual(worker.close(), 0)

    def test_many_at_a_time_and_one_too_many(self) -> None:
        worker = self.ready_worker()
        asked = [self.start(worker, ["wait", os.path.join(self.directory, str(n))])
                 for n in range(64)]
        pids = [self.wait_running(str(n))[1] for n in range(64)]
        self.assertEqual(len(set(pids)), 64)
        more = self.start(worker, ["end", "none"])
        kind, identity, fields = worker.receive()
        self.assertEqual((kind, identity, dict(fields)["reason"]), ("error", more, "busy"))
        for identity in asked:
            worker.send("signal", [("request", identity), ("signal", int(signal.SIGTERM))])
        answered = []
        for _ in asked:
            kind, identity, fields = worker.receive()
            self.assertEqual((kind, dict(fields)["signal"]), ("status", "15"))
            answered.append(identity)
        self.assertEqual(sorted(answered), asked)

    def test_a_signal_reaches_the_whole_group(self) -> None:
        worker = self.ready_worker()
        identity = self.start(worker, ["wait", os.path.join(self.directory, "one")])
        _, pid = self.wait_running("one")
        self.assertEqual(os.getpgid(pid), pid)
        worker.send("signal", [("request", identity), ("signal", int(signal.SIGINT))])
        kind, _, fields = worker.receive()
        self.assertEqual((kind, dict(fields)["signal"]), ("status", "2"))
        for name in ("user-us", "system-us", "max-rss-kib"):
            self.assertIn(name, dict(fields))

    def test_the_end_of_the_connection_ends_what_runs(self) -> None:
        worker = self.ready_worker()
        self.start(worker, ["wait", os.path.join(self.directory, "one")])
        self.wait_running("one")
        self.assertEqual(worker.close(), 0)
        wait_until(lambda: not members(worker.process.pid))

    def test_a_signal_to_the_adapter_ends_what_runs(self) -> None:
        worker = self.ready_worker()
        self.start(worker, ["wait", os.path.join(self.directory, "one")])
        self.wait_running("one")
        worker.process.terminate()
        self.assertEqual(worker.process.wait(LIMIT_SECONDS), 128 + signal.SIGTERM)
        wait_until(lambda: not members(worker.process.pid))

    def test_the_end_while_it_is_being_started(self) -> None:
        self.assertNotEqual(self.worker().close(), None)

    def test_garbage_ends_it(self) -> None:
        worker = self.ready_worker()
        worker._socket.sendall(b"garbage")
        self.assertEqual(worker.process.wait(LIMIT_SECONDS), 1)

    def test_copies_that_die_are_replaced(self) -> None:
        worker = self.ready_worker()
        for _ in range(3):
            for pid in held(worker.process.pid)[1:]:
                os.kill(pid, signal.SIGKILL)
            self.assertEqual(self.by_worker(worker, ["end", "3"])[0], {"exit": "3"})

    def test_copies_that_always_die(self) -> None:
        environment = {**self.environment, "TOOL_COPIES_DIE": "1"}
        worker = self.ready_worker(environment=environment)
        for _ in range(2):
            self.assertEqual(self.by_worker(worker, ["end", "3"], environment)[0], {"exit": "3"})

    def test_the_held_process_is_replaced(self) -> None:
        worker = self.ready_worker()
        for _ in range(3):
            os.kill(wait_until(lambda: held(worker.process.pid))[0], signal.SIGKILL)
            for _ in range(5):
                self.assertEqual(self.by_worker(worker, ["end", "3"])[0], {"exit": "3"})

    def test_a_signal_before_it_runs(self) -> None:
        """While what is held is being started anew, which here takes until a file is there."""
        gate = os.path.join(self.directory, "gate")
        open(gate, "w").close()
        part = os.path.join(self.directory, "part.py")
        tool = os.path.join(self.directory, "own.py")
        with open(part, "w") as file:
            file.write("import os, time\nwhile not os.path.exists(%r): time.sleep(0.001)\n" % gate)
        with open(tool, "w") as file:
            file.write("import sys\nsys.path.append(%r)\nimport part, prewarm\nprewarm.ready()\n"
                       % SDK)
        worker = self.ready_worker([PYTHON, "-B", tool])
        os.unlink(gate)
        with open(part, "a") as file:
            file.write("\n")
        first, second = self.start(worker, []), self.start(worker, [])
        worker.send("signal", [("request", second), ("signal", int(signal.SIGWINCH))])
        worker.send("signal", [("request", second), ("signal", int(signal.SIGINT))])
        kind, identity, fields = worker.receive()
        self.assertEqual((kind, identity, fields), ("status", second, [("signal", "2")]))
        open(gate, "w").close()
        kind, identity, fields = worker.receive()
        self.assertEqual((kind, identity, dict(fields)["exit"]), ("status", first, "0"))

    def test_descriptors_stay_as_many_as_they_are(self) -> None:
        worker = self.ready_worker()

        def count() -> int:
            return len(os.listdir("/proc/%d/fd" % worker.process.pid))

        self.by_worker(worker, ["end", "3"])
        before = count()
        for environment in (self.environment, {}, self.environment) * 3:
            self.by_worker(worker, ["end", "3"], environment)
        self.assertEqual(count(), before)

    def test_a_directory_that_is_not_there(self) -> None:
        worker = self.ready_worker()
        with open(os.devnull, "r+") as null:
            worker.start([TOOL], self.environment, "/no/such/directory", 0o22, [null.fileno()] * 3)
        kind, _, fields = worker.receive()
        self.assertEqual((kind, dict(fields)["reason"]), ("error", "cwd"))

    def test_too_large_for_a_program(self) -> None:
        worker = self.ready_worker()
        self.start(worker, ["x" * 200_000])
        kind, _, fields = worker.receive()
        self.assertEqual((kind, dict(fields)["reason"]), ("error", "refused"))


class StaleTest(ReadyTestCase):
    """What the held process has in it must be what a start would find."""

    def make_tool(self, text: str) -> list[str]:
        with open(os.path.join(self.directory, "part.py"), "w") as part:
            part.write(text)
        tool = os.path.join(self.directory, "own.py")
        with open(tool, "w") as file:
            file.write("import sys\nsys.path.append(%r)\nimport part, prewarm\nprewarm.ready()\n"
                       "print(part.value, len(sys.argv))\n" % SDK)
        return [PYTHON, "-B", tool]

    def test_a_changed_module(self) -> None:
        worker = self.ready_worker(self.make_tool("value = 1"))
        self.assertEqual(self.by_worker(worker, ["x"])[1][0], "1 2\n")
        self.make_tool("value = 222")
        self.assertEqual(self.by_worker(worker, ["x"])[1][0], "222 2\n")

    def test_a_module_that_is_broken_and_mended(self) -> None:
        worker = self.ready_worker(self.make_tool("value = 1"))
        self.make_tool("value = ")
        status, texts = self.by_worker(worker, [])
        self.assertEqual(status, {"exit": "1"})
        self.assertIn("SyntaxError", texts[1])
        self.make_tool("value = 333")

        def is_served() -> bool:
            streams = Streams()
            worker.start(["own"], self.environment, self.directory, 0o22, streams.descriptors)
            worker.receive()
            return streams.results()[0] == "333 1\n"

        wait_until(is_served)

    def test_another_environment(self) -> None:
        worker = self.ready_worker()
        other = {**self.environment, "PYTHONUTF8": "1", "LANG": "C"}
        # Started anew for each; and, as whoever calls always has this one, held in it in the end.
        for _ in range(4):
            self.assertEqual(
                self.by_worker(worker, ["state"], other), self.by_batch(["state"], other))
        self.assertEqual(self.by_worker(worker, ["end", "kill"], other)[0], {"signal": "9"})

    def test_a_changing_environment(self) -> None:
        worker = self.ready_worker()
        for number in range(3):
            for other in (self.environment, {}, {"PATH": "/bin", "PYTHONUNBUFFERED": str(number)}):
                self.assertEqual(
                    self.by_worker(worker, ["state"], other), self.by_batch(["state"], other))

    def test_another_path_that_leads_to_the_same(self) -> None:
        worker = self.ready_worker(["python3", TOOL])
        other = {**self.environment, "PATH": "/nonexistent:/usr/bin"}
        self.assertEqual(self.by_worker(worker, ["end", "3"], other)[0], {"exit": "3"})


class BecomesTheToolTest(ReadyTestCase):
    """What can't be held serves by itself."""

    def check(self, variable: str, why: str) -> None:
        worker = self.worker(environment={**self.environment, variable: "1"})
        implementation = self.greet(worker).get("implementation", "")
        self.assertNotIn("adapt ready", implementation)
        self.errors.seek(0)
        self.assertIn(why, self.errors.read().decode())
        self.assertEqual(self.by_worker(worker, ["end", "3"])[0], {"exit": "3"})

    def test_with_descriptors(self) -> None:
        self.check("TOOL_OPEN", "opens descriptors")

    def test_with_a_loader_variable(self) -> None:
        self.check("LD_BIND_NOW", "loader variable")

    def test_that_ends_before(self) -> None:
        worker = self.worker(environment={**self.environment, "TOOL_END": "1"})
        with self.assertRaises(EOFError):
            self.greet(worker)
        self.assertEqual(worker.process.wait(LIMIT_SECONDS), 9)

    def test_with_threads(self) -> None:
        worker = self.worker(environment={**self.environment, "TOOL_THREAD": "1"})
        with self.assertRaises(EOFError):  # the tool itself refuses, too
            self.greet(worker)
        self.errors.seek(0)
        self.assertIn("starts threads", self.errors.read().decode())

    def test_that_is_not_there(self) -> None:
        worker = self.worker(["/no/such/tool"])
        with self.assertRaises(EOFError):
            self.greet(worker)
        self.assertEqual(worker.process.wait(LIMIT_SECONDS), 127)


class ScriptTest(ReadyTestCase):
    def test_a_script_with_its_interpreter(self) -> None:
        """Executed by its own name, as a shell does."""
        worker = self.ready_worker([TOOL])
        seen = []
        for ready in (False, True):
            streams = Streams()
            if ready:
                worker.start([TOOL, "state"], self.environment, self.directory, 0o27,
                             streams.descriptors)
                self.assertEqual(worker.receive()[0], "status")
            else:
                subprocess.Popen(
                    [TOOL, "state"], cwd=self.directory, umask=0o27, env=self.environment,
                    start_new_session=True, **dict(zip(("stdin", "stdout", "stderr"),
                                                       streams.descriptors))).wait(LIMIT_SECONDS)
            seen.append(json.loads(streams.results()[0]))
        self.assertEqual(seen[0], seen[1])


class PreloadTest(ReadyTestCase):
    """An interpreter that has modules already: all arguments are the invocation's."""

    def test_a_script_a_module_and_a_command(self) -> None:
        worker = self.ready_worker(
            [PYTHON, os.path.join(SDK, "prewarm/preload.py"), "json,ssl,http.client"],
            options=["--keep", "0"])
        for arguments in ([TOOL, "state"], [TOOL, "end", "error"], ["-m", "base64", "-t"],
                          ["-c", "import sys; print(sys.argv)"], ["-S", "-c", "print(3)"]):
            with self.subTest(arguments):
                seen = []
                for ready in (False, True):
                    streams = Streams()
                    if ready:
                        worker.start([PYTHON, *arguments], self.environment, self.directory, 0o27,
                                     streams.descriptors)
                        kind, _, fields = worker.receive()
                        self.assertEqual(kind, "status")
                        status = dict(fields[:1])
                    else:
                        status = status_of(subprocess.Popen(
                            [PYTHON, *arguments], cwd=self.directory, umask=0o27,
                            env=self.environment, start_new_session=True,
                            **dict(zip(("stdin", "stdout", "stderr"), streams.descriptors))).wait())
                    seen.append((status, streams.results()))
                self.assertEqual(seen[0], seen[1])


if __name__ == "__main__":
    PREWARM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
