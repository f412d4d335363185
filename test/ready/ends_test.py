#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ends_test.py PREWARM [TEST…]: prewarm.ready(main) ends as the same program does in a batch run
(ends_tool.py), by `prewarm adapt ready` and by the SDK's own fork server.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unittest
from typing import Any

import ready_test
from capers import LIMIT_SECONDS, Worker
from ready_test import HERE, PYTHON, ReadyTestCase, Streams, status_of

TOOL = os.path.join(HERE, "ends_tool.py")
VALUES = ("none", "0", "3", "255", "256", "300", "-1", "true", "false", "text", "empty", "list",
          "tuple", "empty tuple", "float", "huge", "bytes", "number")
Result = tuple[dict[str, str], list[str]]


def without_addresses(texts: list[str]) -> list[str]:
    return [re.sub("0x[0-9a-f]+", "0x", text) for text in texts]


class EndsTestCase(ReadyTestCase):
    environment = ready_test.ENVIRONMENT

    def setUp(self) -> None:
        super().setUp()
        self.maxDiff = None
        agent = self.ready_worker([PYTHON, TOOL])
        server = Worker([PYTHON, TOOL], self.environment, self.directory, stderr=self.errors)
        self.addCleanup(self.close, server)
        self.assertNotIn("adapt ready", self.greet(server).get("implementation", ""))
        self.workers = {"agent": agent, "fork server": server}

    def batch(self, arguments: list[str], streams: Streams) -> Result:
        done = subprocess.Popen(
            [PYTHON, TOOL, *arguments], cwd=self.directory, start_new_session=True, umask=0o27,
            env=self.environment, **dict(zip(("stdin", "stdout", "stderr"), streams.descriptors)))
        return status_of(done.wait(LIMIT_SECONDS)), without_addresses(streams.results())

    def served(self, worker: Worker, arguments: list[str], streams: Streams) -> Result:
        identity = worker.start([TOOL, *arguments], self.environment, self.directory, 0o27,
                                streams.descriptors)
        kind, answered, fields = worker.receive()
        self.assertEqual((kind, answered), ("status", identity), fields)
        status = {name: value for name, value in fields if name in ("exit", "signal")}
        return status, without_addresses(streams.results())

    def same(self, *arguments: str, **streams: Any) -> Result:
        """What it shows, however it is run."""
        with self.subTest(arguments):
            batch = self.batch(list(arguments), Streams(**streams))
            for name, worker in self.workers.items():
                with self.subTest(name):
                    served = self.served(worker, list(arguments), Streams(**streams))
                    self.assertEqual(batch, served)
        return batch

    def same_into(self, arguments: list[str], open_output: Any) -> Result:
        """The same with another standard output."""
        results = []
        for worker in (None, *self.workers.values()):
            streams = Streams()
            output = open_output()
            streams.descriptors[1] = output
            run = self.served if worker else self.batch
            results.append(run(*([worker] if worker else []), arguments, streams))
            os.close(output)
        for result in results[1:]:
            self.assertEqual(results[0], result)
        return results[0]


class EndsTest(EndsTestCase):
    def test_what_main_returns(self) -> None:
        for value in VALUES:
            self.same("returns", value)

    def test_what_main_exits_with(self) -> None:
        for value in VALUES:
            self.same("exits", value)
            self.same("exits_in_a_finally", value)

    def test_failures(self) -> None:
        for what in ("fails", "fails_in_the_library", "has_a_hook", "is_interrupted",
                     "is_interrupted_by_a_signal", "file_after_failure"):
            self.same(what)

    def test_what_is_called_at_exit(self) -> None:
        status, texts = self.same("at_exit", joined=True)
        self.assertEqual(status, {"exit": "3"})
        self.assertIn("registered before", texts[0])
        self.same("at_exit")

    def test_what_is_called_at_exit_leaves_something(self) -> None:
        self.assertEqual(self.same("at_exit_a_file")[1][0], "not closed\n")
        self.assertEqual(self.same("at_exit_an_object")[1][0], "ended\n")
        self.same("at_exit_a_thread")

    def test_an_open_file(self) -> None:
        self.assertEqual(self.same("file"), ({"exit": "3"}, ["not closed\n", ""]))

    def test_what_is_around_it(self) -> None:
        for what in ("inside_of_a_finally", "inside_of_an_except"):
            for value in VALUES:
                self.same(what, value)

    def test_threads(self) -> None:
        for what in ("thread", "thread_in_a_pool", "daemon_thread"):
            self.same(what)

    def test_standard_streams(self) -> None:
        for what in ("closes_output", "has_no_output", "replaces_output", "replaces_errors"):
            self.same(what)

    def test_forks(self) -> None:
        self.same("forks")
        self.same("forks_and_fails")

    def test_output_that_nobody_reads(self) -> None:
        def unread() -> int:
            reader, writer = os.pipe()
            os.close(reader)
            return writer

        for value in VALUES:
            with self.subTest(value):
                status, texts = self.same_into(["writes", value], unread)
                self.assertEqual(status, {"exit": "120"})
                self.assertIn("BrokenPipeError", texts[1])

    def test_output_for_which_there_is_no_room(self) -> None:
        status, texts = self.same_into(["writes", "3"], lambda: os.open("/dev/full", os.O_WRONLY))
        self.assertEqual(status, {"exit": "120"})
        self.assertIn("ENOSPC" if "ENOSPC" in texts[1] else "No space left", texts[1])


class MainThatIsAnObjectTest(EndsTestCase):
    """Its own end is where it is in a batch run."""

    environment = {**ready_test.ENVIRONMENT, "MAIN_IS_AN_OBJECT": "1"}

    def test_its_end(self) -> None:
        for value in ("none", "3", "300", "text"):
            for how in ("returns", "exits", "inside_of_a_finally", "inside_of_an_except"):
                self.assertIn("main has ended", self.same(how, value)[1][0])
        for how in ("fails", "forks", "thread", "at_exit_an_object", "closes_output"):
            self.same(how)


if __name__ == "__main__":
    ready_test.PREWARM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
