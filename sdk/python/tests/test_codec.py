# SPDX-License-Identifier: MIT
"""Bytes of the protocols as they must be, whoever writes them."""

from __future__ import annotations

import os
import socket
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from prewarm._message import Message, NotAMessage, parse, write  # noqa: E402
from prewarm._transport import Capers, PacketReader, Refused  # noqa: E402

# The example of messages.md, and its FANOS packet.
INVOCATION = Message(b"argv", 7, [(b"arg", b"cloudcopy"), (b"arg", b"bar.jpg"),
                                  (b"cwd", b"/home/ann"), (b"env", b"PYTHONPATH=."),
                                  (b"env", b"GREETING=two\nlines")])
INVOCATION_BYTES = (b"argv 7 5\narg cloudcopy\narg bar.jpg\ncwd /home/ann\nenv PYTHONPATH=.\n"
                    b"env GREETING=two\\nlines\n")
STATUS_BYTES = b"status 7 1\nexit 0\n"
STATUS_PACKET = b"18:status 7 1\nexit 0\n,"


class Messages(unittest.TestCase):
    def test_golden(self) -> None:
        self.assertEqual(write(*INVOCATION), INVOCATION_BYTES)
        self.assertEqual(parse(INVOCATION_BYTES), INVOCATION)
        self.assertEqual(write(b"status", 7, [(b"exit", b"0")]), STATUS_BYTES)
        self.assertEqual(write(b"flush", 4294967295, []), b"flush 4294967295 0\n")

    def test_every_byte(self) -> None:
        value = bytes(range(1, 256)) + b"\\\\n\n\\"
        self.assertEqual(parse(write(b"echo", 1, [(b"a", value)])).fields, [(b"a", value)])

    def test_refused(self) -> None:
        for text in (b"", b"\n", b"a 1 0", b"A 1 0\n", b"a 01 0\n", b"a 1 1\n", b"a 1 0\nb c\n",
                     b"a 4294967296 0\n", b"a 1 131073\n", b"a 1 1\nb\n", b"a 1 1\nb \\x\n",
                     b"a 1 1\nb \\\n", b"a 1 1\nb \0\n", b"a 1 1\nb_ c\n", b"a 1 0\n\n"):
            with self.subTest(text=text), self.assertRaises(NotAMessage):
                parse(text)


class Packets(unittest.TestCase):
    def test_golden(self) -> None:
        ours, theirs = socket.socketpair()
        transport = Capers(ours.detach())
        transport.send(b"status", 7, [(b"exit", b"0")])
        self.assertEqual(theirs.recv(100), STATUS_PACKET)
        transport.close()
        theirs.close()

    def test_every_cut(self) -> None:
        data = STATUS_PACKET * 2
        for cut in range(1, len(data)):
            reader = PacketReader()
            reader.feed(data[:cut], [])
            found = []
            while (packet := reader.next()) is not None:
                found.append(packet)
            reader.feed(data[cut:], [])
            while (packet := reader.next()) is not None:
                found.append(packet)
            self.assertEqual(found, [(STATUS_BYTES, [], True)] * 2, cut)
            self.assertTrue(reader.between_packets())

    def test_descriptors_belong_to_the_last_byte(self) -> None:
        reader = PacketReader()
        reader.feed(STATUS_PACKET + STATUS_PACKET[:4], [3, 4, 5])
        self.assertEqual(reader.next(), (STATUS_BYTES, [], True))
        self.assertIsNone(reader.next())
        reader.feed(STATUS_PACKET[4:], [])
        self.assertEqual(reader.next(), (STATUS_BYTES, [3, 4, 5], True))

    def test_lost_descriptors(self) -> None:
        reader = PacketReader()
        reader.feed(STATUS_PACKET, [], whole=False)
        self.assertEqual(reader.next(), (STATUS_BYTES, [], False))

    def test_refused(self) -> None:
        for data in (b"x", b":", b"00", b"01:", b"-1", b" 1", b"1x", b"1234567890", b"8388609:",
                     b"1:ab"):
            reader = PacketReader()
            reader.feed(data, [])
            with self.subTest(data=data), self.assertRaises(NotAMessage):
                reader.next()

    def test_too_many_open_files(self) -> None:
        """Descriptors that don't fit in the process are lost, and the kernel says so."""
        import resource
        ours, theirs = socket.socketpair()
        transport = Capers(ours.detach())
        payload = write(b"argv", 1, [(b"arg", b"x")])
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        null = os.open(os.devnull, os.O_RDWR)
        socket.send_fds(theirs, [b"%d:%s," % (len(payload), payload)], [null] * 3)
        # The highest number in use, and room for two more.
        free = [os.dup(null) for _ in range(2)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1] + 1, hard))
        for fd in free:
            os.close(fd)
        try:
            self.assertTrue(transport.read())
            request = transport.next()
            with self.assertRaises(Refused):
                transport.streams(request)
            self.assertEqual(request.descriptors, [])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(null)
        transport.close()
        theirs.close()


if __name__ == "__main__":
    unittest.main()
