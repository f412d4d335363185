#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An FCLI worker for tests: a small tool, and everything that a worker can do wrong.

What it does for a request is said by the request's first argument; how it fails at its start by its
own. Written from docs/protocol alone.
"""

import os
import signal
import sys


def read_line(fd):
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(fd, 1)
        if not byte:
            return None
        line += byte
    return line[:-1]


def unescape(value):
    parts = value.split(b"\\\\")
    return b"\\".join(part.replace(b"\\n", b"\n") for part in parts)


def read_message(fd):
    header = read_line(fd)
    if header is None:
        return None
    kind, number, count = header.decode().split(" ")
    fields = []
    for _ in range(int(count)):
        name, value = read_line(fd).split(b" ", 1)
        fields.append((name.decode(), unescape(value)))
    return kind, int(number), fields


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data) :]


def answer(fd, kind, number, *fields):
    text = f"{kind} {number} {len(fields)}\n" + "".join(f"{n} {v}\n" for n, v in fields)
    write_all(fd, text.encode())


def read_all():
    data = b""
    while part := os.read(0, 65536):
        data += part
    return data


def hold(path):
    """A child that keeps the standard streams until somebody opens the FIFO `path`."""
    if os.fork() == 0:
        os.close(answers)
        os.close(requests)
        os.open(path, os.O_RDONLY)
        os._exit(0)


def run(arguments, environment):
    """The exit status."""
    command, rest = arguments[0], arguments[1:]
    if command == b"print":
        write_all(1, b" ".join(rest) + b"\n")
    elif command == b"cat":
        write_all(1, read_all())
    elif command == b"count":
        write_all(1, b"%d\n" % len(read_all()))
    elif command == b"take":
        write_all(1, os.read(0, int(rest[0])))
    elif command == b"wait-then-exit":
        os.read(0, 1)
        return int(rest[0])
    elif command == b"env":
        write_all(1, environment.get(rest[0], b"(unset)") + b"\n")
    elif command == b"where":
        mask = os.umask(0)
        os.umask(mask)
        write_all(1, b"%s %04o\n" % (os.getcwdb(), mask))
    elif command == b"both":
        for i in range(int(rest[0])):
            write_all(1 + i % 2, b"%d\n" % i)
    elif command == b"big":
        block = b"0123456789abcde\n" * 4096
        for _ in range(int(rest[0])):
            try:
                write_all(1, block)
            except BrokenPipeError:
                return 9
    elif command == b"is-a-terminal":
        write_all(1, b"%d%d%d\n" % (os.isatty(0), os.isatty(1), os.isatty(2)))
    elif command in (b"hang", b"stubborn"):
        if command == b"stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        write_all(1, b"ready\n")
        while True:
            signal.pause()
    elif command == b"catch":
        signal.signal(signal.SIGINT, lambda *_: (write_all(1, b"caught\n"), os._exit(7)))
        write_all(1, b"ready\n")
        while True:
            signal.pause()
    elif command == b"hold":
        hold(rest[0])
        write_all(1, b"held\n")
    elif command == b"replace":
        path = streams["stdout"]
        os.unlink(path)
        with open(path, "w", encoding="ascii") as file:
            file.write("a file")
    elif command == b"ps":
        write_all(1, b"%d\n" % os.getpid())
    else:
        return 99
    return 0


def invoke(number, fields):
    global streams
    streams = {name: value for name, value in fields if name.startswith("std")}
    arguments = [value for name, value in fields if name == "arg"][1:]
    if arguments[0] == b"refuse":
        return answer(answers, "error", number, ("reason", "refused"), ("message", "not today"))
    environment = {} if any(n == "clear-env" for n, _ in fields) else dict(os.environb)
    for name, value in fields:
        if name == "env":
            key, _, text = value.partition(b"=")
            environment[key] = text
    if arguments[0] == b"exit-before":
        os._exit(int(arguments[1]))
    opened = {}
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        path = streams[name]
        if name == "stderr" and path == streams["stdout"]:
            os.dup2(1, 2)
            continue
        new = os.open(path, os.O_RDONLY if fd == 0 else os.O_WRONLY)
        opened[name] = path
        if new != fd:
            os.dup2(new, fd)
            os.close(new)
    before = os.getcwd()
    os.chdir(dict(fields)["cwd"])
    mask = os.umask(int(dict(fields).get("umask", b"0022"), 8))
    if arguments[0] == b"exit":
        os._exit(int(arguments[1]))
    if arguments[0] == b"kill":
        os.kill(os.getpid(), int(arguments[1]))
    if arguments[0] == b"garbage":
        write_all(answers, b"this is no answer\n")
    if arguments[0] == b"other-id":
        answer(answers, "status", number + 1000, ("exit", 0))
    if arguments[0] == b"close-answers":
        os.close(answers)
        while True:
            signal.pause()
    status = 0
    if arguments[0] not in (b"garbage", b"twice", b"other-id", b"exit-after"):
        status = run(arguments, environment)
    os.chdir(before)
    os.umask(mask)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
    answer(answers, "status", number, ("exit", status))
    if arguments[0] == b"twice":
        answer(answers, "status", number, ("exit", status))
    if arguments[0] == b"exit-after":
        os._exit(0)


def main():
    global requests, answers
    how = sys.argv[1] if len(sys.argv) > 1 else "well"
    if how == "dies":
        sys.exit("no such luck")
    if how == "hangs":
        signal.pause()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    request_path = os.environ.pop("FCLI_REQUEST_FIFO")
    answer_path = os.environ.pop("FCLI_RESPONSE_FIFO")
    assert os.environ.pop("FCLI_VERSION") == "1"
    requests = os.open(request_path, os.O_RDONLY)
    answers = os.open(answer_path, os.O_WRONLY)
    if how == "babbles":
        write_all(answers, b"Hello, world\n")
        signal.pause()
    while (message := read_message(requests)) is not None:
        kind, number, fields = message
        if kind == "argv":
            invoke(number, fields)
        elif kind == "version":
            answer(answers, "version", number, ("version", 1), ("implementation", "test tool"))
            if how == "reads-no-more":
                signal.pause()
            if how == "exits-then":
                os._exit(3)
        else:
            answer(answers, "error", number, ("reason", "unknown-request"), ("message", kind))


if __name__ == "__main__":
    main()
