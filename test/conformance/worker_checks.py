# SPDX-License-Identifier: MIT
"""What docs/protocol/messages.md says of workers, over either transport.

The tool is the one that README.md describes.
"""

from __future__ import annotations

import os
import tempfile

import wire
from checks import check
from driver import Outcome, Worker
from wire import Violation


class Bench:
    """What a check gets: starts workers, and ends them all."""

    def __init__(self, worker_class: type[Worker], command: list[str], limit: float) -> None:
        self._class, self._command, self._limit = worker_class, command, limit
        self._workers: list[Worker] = []

    def fresh(self, **options: object) -> Worker:
        """A worker that has not been asked anything."""
        self._workers.append(self._class(self._command, self._limit, **options))
        return self._workers[-1]

    def worker(self, **options: object) -> Worker:
        worker = self.fresh(**options)
        worker.negotiate()
        return worker

    def said(self) -> str:
        return "".join(worker.said() for worker in self._workers)

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


def expect(actual: object, wanted: object, what: str) -> None:
    if actual != wanted:
        raise Violation("%s: %r, not %r" % (what, actual, wanted))


def ran(outcome: Outcome, out: bytes = b"", code: int = 0) -> None:
    if outcome.answer is not None and outcome.answer.type != "status":
        raise Violation("not run: %r" % outcome.answer)
    expect(outcome.status, ("exit", code), "status")
    expect(outcome.out, out, "standard output")


def refused(outcome: Outcome, reason: bytes) -> None:
    if outcome.answer is None or outcome.answer.type != "error":
        raise Violation("run, or no answer: %r" % outcome)
    expect(outcome.answer.one("reason"), reason, "reason")
    outcome.answer.one("message")


# ---- version -------------------------------------------------------------------------------------


@check("worker")
def version_answer(bench: Bench) -> None:
    """`version` is answered by version 1; implementation and features are of their form."""
    answer = bench.fresh().negotiate()
    if len(answer.all("implementation")) > 1:
        raise Violation("more than one implementation")
    for feature in answer.all("feature"):
        name, blank, number = feature.partition(b" ")
        if name == b"concurrent" and not (number.isdigit() and int(number) > 0):
            raise Violation("concurrent without a number")
        if name in (b"signal", b"fresh") and blank:
            raise Violation("a feature with a value that it hasn't")


@check("worker")
def version_highest_common(bench: Bench) -> None:
    """Of several versions the highest that both speak is chosen."""
    worker = bench.fresh()
    versions = [("version", b"7"), ("version", b"1"), ("version", b"4000000000")]
    answer = worker.ask("version", versions)
    expect((answer.type, answer.all("version")), ("version", [b"1"]), "answer")


@check("worker")
def version_none_in_common(bench: Bench) -> None:
    """No version in common: `error`, reason `version`; and the conversation goes on."""
    worker = bench.fresh()
    answer = worker.ask("version", [("version", b"4294967295")])
    expect((answer.type, answer.all("reason")), ("error", [b"version"]), "answer")
    worker.negotiate()


@check("worker")
def version_again(bench: Bench) -> None:
    """`version` can be asked at any time, and the answer is the same."""
    worker = bench.fresh()
    first = worker.negotiate()
    ran(worker.run("argv"))
    expect(worker.negotiate().fields, first.fields, "the second answer")


# ---- echo and others -----------------------------------------------------------------------------


@check("worker")
def echo_odd_bytes(bench: Bench) -> None:
    """`echo` gives back any bytes, in any order, empty and repeated fields too."""
    worker = bench.worker()
    every = bytes(byte for byte in range(1, 256))
    fields = [("b", every), ("a", b""), ("z-9", b" \\n\n\\\\ "), ("a", b""),
              ("arg", b"\xff\xfe\n\n"),
              ("a234567890123456789012345678901", b"x"), ("count", b"\\" * 7)]
    answer = worker.ask("echo", fields)
    expect((answer.type, answer.fields), ("echo", fields), "answer")


@check("worker")
def echo_nothing(bench: Bench) -> None:
    """`echo` without fields, by the largest and the smallest id."""
    worker = bench.worker()
    for identity in (1, 4294967295):
        worker.send(wire.write("echo", identity, []))
        answer = worker.answer("echo")
        expect((answer.type, answer.id, answer.fields), ("echo", identity, []), "answer")


@check("worker")
def echo_large(bench: Bench) -> None:
    """A message of several hundred kilobytes in one field, and one of many fields."""
    worker = bench.worker()
    many = [("n", b"%d" % number) for number in range(20000)]
    for fields in ([("big", b"0123456789abcdef\\" * 20000)], many):
        answer = worker.ask("echo", fields)
        expect(answer.fields == fields, True, "the same fields")


@check("worker")
def flush_answer(bench: Bench) -> None:
    """`flush` is answered by `status` with `exit 0`."""
    answer = bench.worker().ask("flush", [])
    expect((answer.type, answer.one("exit")), ("status", b"0"), "answer")


@check("worker")
def unknown_request(bench: Bench) -> None:
    """A request of an unknown type: `error`, reason `unknown-request`; the next is served."""
    worker = bench.worker()
    answer = worker.ask("make-coffee", [("sugar", b"2")])
    expect((answer.type, answer.one("reason")), ("error", b"unknown-request"), "answer")
    answer.one("message")
    ran(worker.run("argv", "on"), b"on\0")


@check("worker")
def unknown_fields(bench: Bench) -> None:
    """Fields whose names the worker does not know are ignored, in every request."""
    worker = bench.worker()
    odd = ("x-unknown", b"\xff\n")
    worker.ask("version", [odd, ("version", b"1")]).one("version")
    expect(worker.ask("flush", [odd]).one("exit"), b"0", "flush")
    ran(worker.run("argv", "a", fields=[odd, ("argv", b"b")]), b"a\0")
    expect(worker.ask("env", [odd]).one("exit"), b"0", "env")


@check("worker")
def last_field_counts(bench: Bench) -> None:
    """A field that may occur once and occurs again: the last one counts."""
    worker = bench.worker()
    fields = [("cwd", b"/nonexistent/prewarm"), ("cwd", b"/usr")]
    ran(worker.run("pwd", fields=fields), b"/usr\n")


# ---- argv ----------------------------------------------------------------------------------------


@check("worker")
def arguments(bench: Bench) -> None:
    """Arguments arrive as they are: empty, with blanks, line feeds, backslashes, UTF-8."""
    args = ["", " a  b ", "line\nfeed\n", "\\n\\", "-e", "*", "ä€", "'\"$x`", "\t\r", "%s"]
    expected = b"".join(arg.encode() + b"\0" for arg in args)
    ran(bench.worker().run("argv", *args), expected)


@check("worker")
def arguments_any_bytes(bench: Bench) -> None:
    """Arguments that are no UTF-8 arrive as they are."""
    args = [bytes(range(1, 128)), bytes(range(128, 256)), b"\xff"]
    ran(bench.worker().run("argv", *args), b"".join(arg + b"\0" for arg in args))


@check("worker")
def arguments_many(bench: Bench) -> None:
    """Five thousand arguments, and one of a hundred kilobytes."""
    worker = bench.worker()
    many = [b"%d" % number for number in range(5000)]
    ran(worker.run("argv", *many), b"".join(arg + b"\0" for arg in many))
    ran(worker.run("argv", b"x" * 100_000), b"x" * 100_000 + b"\0")


@check("worker")
def name(bench: Bench) -> None:
    """The first `arg` is the name by which the tool was called."""
    ran(bench.worker().run("name"), b"tool\n")


@check("worker")
def no_arguments(bench: Bench) -> None:
    """`argv` without `arg`: `error`, reason `message`; and nothing is run."""
    worker = bench.worker()
    invocation = worker.start_invocation([], b"", False)
    try:
        refused(invocation.finish(), b"message")
    finally:
        invocation.close()
    ran(worker.run("argv", "on"), b"on\0")


@check("worker")
def bad_umask(bench: Bench) -> None:
    """A umask that is no octal number: `error`, reason `message`."""
    worker = bench.worker()
    refused(worker.run("argv", fields=[("umask", b"9x")]), b"message")
    ran(worker.run("argv", "on"), b"on\0")


@check("worker")
def exit_codes(bench: Bench) -> None:
    """Exit codes from 0 to 255, one after the other."""
    worker = bench.worker()
    for code in (0, 1, 2, 42, 124, 127, 128, 129, 255):
        outcome = worker.run("exit", str(code))
        ran(outcome, code=code)
        if outcome.answer is None:  # the worker's own exit is an answer, too
            worker = bench.worker()


@check("worker")
def exit_in_the_middle(bench: Bench) -> None:
    """A process that exits at once, while it works on a request, has given that status."""
    for code in (0, 9):
        ran(bench.worker().run("quit", str(code)), code=code)


@check("worker")
def killed(bench: Bench) -> None:
    """A tool that is killed by a signal: that signal is the status."""
    for number in (9, 15, 6):
        outcome = bench.worker().run("kill", str(number))
        expect(outcome.status, ("signal", number), "status")


@check("worker")
def failure(bench: Bench) -> None:
    """What is printed at a failure arrives, and the status is 1."""
    worker = bench.worker()
    outcome = worker.run("fail", "so sad")
    expect(outcome.status, ("exit", 1), "status")
    if b"so sad" not in outcome.err:
        raise Violation("standard error: %r" % outcome.err)


@check("worker")
def output_before_answer(bench: Bench) -> None:
    """All that the tool has printed is written before the answer, whatever its buffers."""
    worker = bench.worker()
    ran(worker.run("out", "in a buffer"), b"in a buffer")
    outcome = worker.run("out-exit", "in a buffer", "3")
    ran(outcome, b"in a buffer", 3)


@check("worker")
def output_large(bench: Bench) -> None:
    """Three megabytes of output."""
    ran(bench.worker().run("big", "3000000"), b"x" * 3_000_000)


@check("worker")
def standard_error(bench: Bench) -> None:
    """Standard output and error are two."""
    outcome = bench.worker().run("mix", "3")
    ran(outcome, b"o1\no2\no3\n")
    expect(outcome.err, b"e1\ne2\ne3\n", "standard error")


@check("worker")
def merged_streams(bench: Bench) -> None:
    """Standard output and error that are the same open file: what is written keeps its order."""
    ran(bench.worker().run("mix", "4", merged=True), b"o1\ne1\no2\ne2\no3\ne3\no4\ne4\n")


@check("worker")
def input_end_of_file(bench: Bench) -> None:
    """Input ends where the caller's ends, for each invocation anew; and empty input is empty."""
    worker = bench.worker()
    for content in (b"first\n", b"", b"second\0\xff", b"z" * 300_000):
        ran(worker.run("cat", stdin=content), content)


@check("worker")
def input_does_not_leak(bench: Bench) -> None:
    """What one invocation has not read, the next does not see."""
    worker = bench.worker()
    ran(worker.run("line", stdin=b"one\ntwo\nthree\n"), b"one\n")
    ran(worker.run("cat", stdin=b"mine"), b"mine")


# ---- environment, directory, umask ---------------------------------------------------------------


@check("worker")
def environment_fields(bench: Bench) -> None:
    """`env` sets variables, in order, over those of the start; odd values arrive."""
    worker = bench.worker(env={**os.environ, "CONFORM_A": "start", "CONFORM_B": "kept"})
    fields = [("env", b"CONFORM_A=1"), ("env", b"CONFORM_A=2"), ("env", b"CONFORM_C= a=b\n\\ "),
              ("env", b"CONFORM_EMPTY=")]
    names = ("CONFORM_A", "CONFORM_B", "CONFORM_C", "CONFORM_EMPTY", "CONFORM_NONE")
    ran(worker.run("env", *names, fields=fields),
        b"CONFORM_A=2\0CONFORM_B=kept\0CONFORM_C= a=b\n\\ \0CONFORM_EMPTY=\0CONFORM_NONE\0")


@check("worker")
def environment_empty(bench: Bench) -> None:
    """`clear-env`: the environment begins empty, wherever among the fields it stands."""
    worker = bench.worker(env={**os.environ, "CONFORM_A": "start"})
    fields = [("env", b"CONFORM_B=b"), ("clear-env", b""), ("env", b"PATH=/usr/bin:/bin")]
    ran(worker.run("env", "CONFORM_A", "CONFORM_B", "HOME", fields=fields),
        b"CONFORM_A\0CONFORM_B=b\0HOME\0")


@check("worker")
def environment_without_protocol(bench: Bench) -> None:
    """The variables that made it a worker are not in the tool's environment."""
    names = ["CAPERS_VERSION", "CAPERS_FD", "FCLI_VERSION", "FCLI_REQUEST_FIFO",
             "FCLI_RESPONSE_FIFO"]
    ran(bench.worker().run("env", *names), b"".join(name.encode() + b"\0" for name in names))


@check("worker")
def environment_does_not_stay(bench: Bench) -> None:
    """Nothing of one invocation's environment stays for the next."""
    worker = bench.worker()
    ran(worker.run("env", "CONFORM_A", fields=[("env", b"CONFORM_A=1")]), b"CONFORM_A=1\0")
    ran(worker.run("env", "CONFORM_A"), b"CONFORM_A\0")
    ran(worker.run("env", "HOME", fields=[("clear-env", b"")]), b"HOME\0")
    home = os.environb.get(b"HOME")
    ran(worker.run("env", "HOME"), b"HOME\0" if home is None else b"HOME=" + home + b"\0")


@check("worker")
def environment_request(bench: Bench) -> None:
    """`env` changes the base environment for all invocations that follow."""
    worker = bench.worker(env={**os.environ, "CONFORM_A": "start"})
    expect(worker.ask("env", [("env", b"CONFORM_B=base")]).one("exit"), b"0", "exit")
    for _ in range(2):
        ran(worker.run("env", "CONFORM_A", "CONFORM_B"), b"CONFORM_A=start\0CONFORM_B=base\0")
    fields = [("clear-env", b""), ("env", b"CONFORM_C=c"), ("env", b"PATH=/usr/bin:/bin")]
    worker.ask("env", fields)
    ran(worker.run("env", "CONFORM_A", "CONFORM_B", "CONFORM_C"),
        b"CONFORM_A\0CONFORM_B\0CONFORM_C=c\0")


@check("worker")
def directory_of_the_start(bench: Bench) -> None:
    """Without `cwd` the directory is that in which the worker was started."""
    ran(bench.worker(cwd="/usr").run("pwd"), b"/usr\n")


@check("worker")
def directory_field(bench: Bench) -> None:
    """`cwd` is the directory of that invocation only, whatever bytes are in its name."""
    worker = bench.worker(cwd="/")
    with tempfile.TemporaryDirectory() as parent:
        odd = os.path.join(os.path.realpath(parent), "a b\\n'ä")
        os.mkdir(odd)
        ran(worker.run("pwd", fields=[("cwd", os.fsencode(odd))]), os.fsencode(odd) + b"\n")
        ran(worker.run("pwd"), b"/\n")


@check("worker")
def directory_that_is_not(bench: Bench) -> None:
    """A `cwd` that can't be entered: `error`, reason `cwd`; nothing is run. The next is served."""
    worker = bench.worker(cwd="/usr")
    for path in (b"/nonexistent/prewarm", b"/etc/passwd"):
        refused(worker.run("argv", "a", fields=[("cwd", path)]), b"cwd")
    ran(worker.run("pwd"), b"/usr\n")


@check("worker")
def directory_request(bench: Bench) -> None:
    """`cd` changes the base directory; if it can't be entered, `exit 1`, and nothing changes."""
    worker = bench.worker(cwd="/")
    expect(worker.ask("cd", [("cwd", b"/usr")]).one("exit"), b"0", "exit")
    ran(worker.run("pwd"), b"/usr\n")
    answer = worker.ask("cd", [("cwd", b"/nonexistent/prewarm")])
    expect((answer.type, answer.one("exit")), ("status", b"1"), "answer")
    answer.one("message")
    ran(worker.run("pwd", fields=[("cwd", b"/etc")]), b"/etc\n")
    ran(worker.run("pwd"), b"/usr\n")


@check("worker")
def umask_field(bench: Bench) -> None:
    """`umask` is that invocation's; without, it is the worker's."""
    worker = bench.worker()
    own = os.umask(0o022)
    os.umask(own)
    ran(worker.run("umask", fields=[("umask", b"0077")]), b"0077\n")
    ran(worker.run("umask", fields=[("umask", b"0")]), b"0000\n")
    ran(worker.run("umask"), b"%04o\n" % own)


@check("worker")
def changes_do_not_stay(bench: Bench) -> None:
    """What a tool does to its directory, umask and environment does not stay for the next."""
    worker = bench.worker(cwd="/usr")
    own = os.umask(0o022)
    os.umask(own)
    ran(worker.run("soil"))
    ran(worker.run("pwd"), b"/usr\n")
    ran(worker.run("umask"), b"%04o\n" % own)
    ran(worker.run("env", "CONFORM_SOILED"), b"CONFORM_SOILED\0")
