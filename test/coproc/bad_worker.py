#!/usr/bin/python3 -I
# SPDX-License-Identifier: MIT
"""A worker that does one thing wrong: its own name, by a symbolic link, says which.

Has a codec of its own. Without CAPERS_FD it is the tool as a batch process.
"""

import os
import signal
import socket
import sys
import time


def main():
    name = os.path.basename(sys.argv[0])
    note("start")
    if "CAPERS_FD" not in os.environ:
        print("batch", *sys.argv[1:])
        return
    with socket.socket(fileno=int(os.environ["CAPERS_FD"])) as connection:
        BEHAVIOURS[name.split(".")[0]](Connection(connection))


def note(word):
    """A line in the file beside us: what was started, and what was run."""
    with open(sys.argv[0] + ".notes", "a", encoding="ascii") as notes:
        notes.write(word + "\n")


class Connection:
    def __init__(self, connection):
        self.socket = connection
        self.buffer = b""
        self.fds = []

    def more(self):
        data, fds, _, _ = socket.recv_fds(self.socket, 65536, 3)
        if not data:
            sys.exit(0)
        self.buffer += data
        self.fds += fds

    def request(self):
        """(type, id) of the next request."""
        while b":" not in self.buffer:
            self.more()
        length, _, rest = self.buffer.partition(b":")
        while len(rest) < int(length) + 1:
            self.more()
            rest = self.buffer.partition(b":")[2]
        self.buffer = rest[int(length) + 1 :]
        kind, number, _ = rest[: int(length)].split(b"\n")[0].split(b" ")
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        if kind == b"argv":
            note("run")
        return kind.decode(), int(number)

    def send(self, text):
        self.raw(b"%d:%s," % (len(text), text.encode()))

    def raw(self, data):
        self.socket.sendall(data)

    def status(self, number, status=0):
        self.send(f"status {number} 1\nexit {status}\n")

    def greet(self, *features):
        _, number = self.request()
        fields = "".join(f"feature {f}\n" for f in features)
        self.send(f"version {number} {1 + len(features)}\nversion 1\n{fields}")

    def serve(self):
        while True:
            kind, number = self.request()
            if kind == "argv":
                self.status(number)
            elif kind == "echo":
                self.send(f"echo {number} 0\n")


def for_ever():
    while True:
        signal.pause()


def hang_at_start(_):
    for_ever()


def garbage_at_start(c):
    c.request()
    c.raw(b"Welcome to the tool!\n")
    for_ever()


def die_at_start(_):
    print("no such library", file=sys.stderr)
    sys.exit(3)


def die_twice(c):
    """At start, the first two times."""
    with open(sys.argv[0] + ".notes", encoding="ascii") as notes:
        starts = notes.read().count("start")
    if starts <= 2:
        sys.exit(1)
    good(c)


def other_version(c):
    _, number = c.request()
    c.send(f"error {number} 2\nreason version\nmessage only version 9\n")
    for_ever()


def die_after_greeting(c):
    c.greet()
    sys.exit(0)


def good(c):
    c.greet()
    c.serve()


def garbage(c):
    c.greet()
    c.request()
    c.raw(b"Traceback (most recent call last):\n")
    for_ever()


def two_answers(c):
    c.greet()
    _, number = c.request()
    text = f"status {number} 1\nexit 4\n"
    c.raw(f"{len(text)}:{text},".encode() * 2)
    for_ever()


def wrong_id(c):
    c.greet()
    _, number = c.request()
    c.status(number + 7)
    for_ever()


def part_of_answer(c):
    c.greet()
    c.request()
    c.raw(b"18:status 2 1\nex")


def bad_status(c):
    c.greet()
    _, number = c.request()
    c.status(number, 999)
    for_ever()


def too_long(c):
    c.greet()
    c.request()
    c.raw(b"999999999:")
    for_ever()


def close_socket(c):
    c.greet()
    c.request()
    c.socket.close()
    for_ever()


def hang(c):
    c.greet()
    c.request()
    for_ever()


def hang_without_reading(c):
    """Greets, and never reads again."""
    c.greet()
    for_ever()


def stop_reading(c):
    """Reads a little of a large request, and goes."""
    c.greet()
    while len(c.buffer) < 100:
        c.buffer += c.socket.recv(100)
    os._exit(5)


def stop_listening(c):
    """Is ready, and takes no request: sending one to it fails."""
    _, number = c.request()
    c.socket.shutdown(socket.SHUT_RD)
    c.send(f"version {number} 1\nversion 1\n")
    time.sleep(0.1)
    os._exit(5)


def ignore_term(c):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang(c)


def retire(c):
    c.greet()
    _, number = c.request()
    c.send(f"status {number} 2\nexit 0\nretire \n")
    c.request()


def refuse(c):
    c.greet()
    _, number = c.request()
    c.send(f"error {number} 2\nreason refused\nmessage not today\n")
    c.serve()


def concurrent(c):
    """Answers the second of two requests first."""
    c.greet("concurrent 2", "signal")
    _, first = c.request()
    _, second = c.request()
    c.status(second, 2)
    c.status(first, 1)
    c.serve()


def signals(c):
    """Ends a request by the signal that it is told to deliver."""
    c.greet("concurrent 8", "signal")
    while True:
        kind, number = c.request()
        if kind == "argv":
            running = number
            note("ready")
        elif kind == "signal":
            c.send(f"status {running} 1\nsignal 2\n")


def deaf_to_signals(c):
    c.greet("concurrent 8", "signal")
    while True:
        kind, _ = c.request()
        note(kind)


def deaf_to_echo(c):
    c.greet()
    _, number = c.request()
    c.status(number)
    for_ever()


BEHAVIOURS = {
    function.__name__.replace("_", "-"): function
    for function in list(globals().values())
    if callable(function) and getattr(function, "__module__", "") == "__main__"
}

if __name__ == "__main__":
    main()
