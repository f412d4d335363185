#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sdk/python: what a program shows as a worker is what it shows as a batch process.

Each case of tools/python_cases.py, twice in the same worker: output, errors, status.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile

import wire
from driver import CapersWorker, Outcome

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools", "python_cases.py")
UTF8 = {"LANG": "C.UTF-8"}

# Arguments and, where it matters, variables.
CASES: list[tuple[list[str], dict[str, str]]] = [
    *((["exits", code], {}) for code in
      ("none", "true", "text", "bytes", "huge", "list", "empty", "0", "7", "256", "-1", "1000")),
    *((["returns", what], {}) for what in ("none", "text", "seven")),
    *(([name], UTF8) for name in (
        "raises", "interrupted", "interrupted_by_signal", "own_excepthook", "at_exit", "state",
        "threads", "daemon_thread", "pool", "processes", "forks", "closes_output",
        "replaces_output", "mixed_output", "warns", "logs", "asks")),
    (["environment"], UTF8),
    (["environment"], {}),
    (["environment"], {"LC_ALL": "C", "ODD": "a\nb\\"}),
    *((["streams", "ä", "b"], variables) for variables in (
        {}, UTF8, {"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"LANG": "en_XX.UTF-8"},
        {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": ":replace"},
        {"PYTHONIOENCODING": "utf-16:strict", "LANG": "C.UTF-8"},
        {"PYTHONUNBUFFERED": "1"}, {"PYTHONUNBUFFERED": "0"}, {"PYTHONUNBUFFERED": "x"})),
]


def environment(variables: dict[str, str], mode: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "CASES_MODE": mode, "PYTHONDONTWRITEBYTECODE": "1",
            **variables}


def normal(text: bytes) -> bytes:
    """Without addresses."""
    return re.sub(rb"0x[0-9a-f]+", b"0x", text)


def shown(code: int, out: bytes, err: bytes) -> tuple[int, bytes, bytes]:
    return code, normal(out), normal(err)


class Workers:
    """One worker for all cases, and another when it has ended instead of answering."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._worker: CapersWorker | None = None

    def run(self, case: list[str], variables: dict[str, str], stdin: bytes, cwd: str) -> Outcome:
        if self._worker is None:
            # Started with other variables than those of the invocation.
            self._worker = CapersWorker([sys.executable, TOOL], 60, cwd="/usr", env={
                **environment({}, self._mode), "LANG": "C.UTF-8", "OF_THE_START": "1"})
            self._worker.negotiate()
        fields = [("clear-env", b""), ("cwd", cwd.encode()), ("umask", b"0027")]
        for name, value in environment(variables, self._mode).items():
            fields.append(("env", os.fsencode(name + "=" + value)))
        outcome = self._worker.run(*case, stdin=stdin, fields=fields, name=TOOL)
        if outcome.answer is None:
            self.close()
        return outcome

    def run_into(self, case: list[str], variables: dict[str, str], output: int, cwd: str) -> (
            tuple[int, bytes]):
        """Exit status and standard error of an invocation with this output; closes it."""
        worker = self._worker
        fields = [("clear-env", b""), ("cwd", cwd.encode()), *(("arg", w.encode()) for w in case)]
        fields += [("env", os.fsencode(name + "=" + value)) for name, value in variables.items()]
        with tempfile.TemporaryFile() as errors, open(os.devnull) as null:
            payload = wire.write("argv", 4711, fields)
            wire.send_packet(worker.socket, payload, [null.fileno(), output, errors.fileno()])
            os.close(output)
            answer = worker.answer("an invocation with a broken pipe")
            errors.seek(0)
            return int(answer.one("exit")), errors.read()

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def compare(workers: Workers, mode: str, case: list[str], variables: dict[str, str], cwd: str) -> (
        bool):
    stdin = b"Ann\r\n\xff\xc3\xa4 second\n"
    plain = subprocess.run(
        [sys.executable, TOOL, *case], input=stdin, capture_output=True, cwd=cwd, umask=0o027,
        env=environment(variables, mode), check=False)
    good = True
    for _ in range(2):
        served = workers.run(case, variables, stdin, cwd)
        kind, number = served.status
        code = number if kind == "exit" else -number
        expected = shown(plain.returncode, plain.stdout, plain.stderr)
        actual = shown(code, served.out, served.err)
        if actual != expected:
            print("%s %r %r:\n  batch  %r\n  worker %r" % (mode, case, variables, expected, actual))
            good = False
    return good


def file_in_failure(workers: Workers, directory: str) -> bool:
    path = os.path.join(directory, "written")
    workers.run(["file_in_failure", path], UTF8, b"", directory)
    with open(path) as file:
        return file.read() == "content"


def broken_pipe(workers: Workers, mode: str, directory: str) -> bool:
    """Output that nobody reads: the interpreter's message and status."""
    def unread() -> int:
        reader, writer = os.pipe()
        os.close(reader)
        return writer

    case, variables = [TOOL, "exits", "none"], environment(UTF8, mode)
    writer = unread()
    plain = subprocess.run([sys.executable, *case], stdin=subprocess.DEVNULL, stdout=writer,
                           stderr=subprocess.PIPE, cwd=directory, env=variables, check=False)
    os.close(writer)
    served = workers.run_into(case, variables, unread(), directory)
    if served != (plain.returncode, plain.stderr):
        print("%s: broken pipe: %r, not %r" % (mode, served, (plain.returncode, plain.stderr)))
        return False
    return True


def main() -> int:
    bad = 0
    with tempfile.TemporaryDirectory() as directory:
        directory = os.path.realpath(directory)
        for mode in ("serve", "ready"):
            workers = Workers(mode)
            try:
                for case, variables in CASES:
                    bad += not compare(workers, mode, case, variables, directory)
                bad += not broken_pipe(workers, mode, directory)
                if not file_in_failure(workers, directory):
                    print("%s: an open file is not written out" % mode)
                    bad += 1
            finally:
                workers.close()
    print("%d differ" % bad)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
