# SPDX-License-Identifier: MIT
"""Cases of image_service_test.py: files that change, come and go while the service runs."""

import os
import pathlib
import shutil
import signal

import client
from service_case import ServiceCase


class Files(ServiceCase):
    def setUp(self):
        super().setUp()
        self.lib = self.library()
        self.absent = self.programs / "none" / "there" / "absent.so"
        self.prog = self.program(options=["--mapped", self.lib, "--read", "/etc/hostname",
                                          "--absent", self.absent])
        self.start()
        self.build(self.prog)
        self.assertEqual(self.refusal(self.prog), "none")
        self.assert_watched()

    def assert_watched(self):
        self.assertEqual([i["watched"] for i in self.state()["images"]], [True])

    def assert_stale(self):
        """And what is made anew is right."""
        self.assertEqual(self.refusal(self.prog), "stale")
        self.assertEqual(self.refusal(self.prog), "no_image")
        if self.lib.exists() and not self.absent.exists():
            self.build(self.prog)

    def test_changed(self):
        with self.lib.open("r+b") as file:
            file.seek(1000)
            file.write(b"x")
            file.flush()
            self.assert_stale()

    def test_changed_by_another_name(self):
        other = self.home / "other"
        os.link(self.lib, other)
        self.assert_stale()
        with other.open("ab") as file:
            file.write(b"x")
        self.assert_stale()

    def test_touched(self):
        os.utime(self.lib, (1, 1))
        self.assert_stale()

    def test_truncated(self):
        os.truncate(self.lib, 100)
        self.assert_stale()

    def test_removed(self):
        self.lib.unlink()
        self.assert_stale()
        self.assertNotEqual(self.refusal(self.prog, flags=client.WAIT), "none")

    def test_replaced(self):
        other = self.programs / "new"
        shutil.copy(self.lib, other)
        other.rename(self.lib)
        self.assert_stale()

    def test_replaced_and_put_back(self):
        other = self.programs / "old"
        self.lib.rename(other)
        self.lib.write_bytes(b"other")
        self.lib.unlink()
        other.rename(self.lib)
        self.assert_stale()  # its change time is another

    def test_directory_moved(self):
        moved = self.home / "moved"
        self.programs.rename(moved)
        shutil.copytree(moved, self.programs)
        prog = self.prog
        os.unlink(prog)
        os.link(moved / "program", prog)
        self.assertIn(self.refusal(prog), ("stale", "no_image"))

    def test_absent_file_appears(self):
        self.absent.parent.parent.mkdir()
        self.assertEqual(self.refusal(self.prog), "none")
        self.absent.parent.mkdir()
        self.assertEqual(self.refusal(self.prog), "none")
        self.absent.write_bytes(b"")
        self.assert_stale()

    def test_others_files_do_not_matter(self):
        (self.programs / "unrelated").write_bytes(b"x")
        (self.home / "unrelated").mkdir()
        self.assertEqual(self.refusal(self.prog), "none")
        self.assertEqual(self.state()["stale"], 0)

    def test_program_changed(self):
        with self.prog.open("ab") as file:
            file.write(b"x")
        self.assertEqual(self.refusal(self.prog), "stale")
        self.build(self.prog)

    def test_program_replaced(self):
        self.prog.unlink()
        shutil.copy("/bin/false", self.prog)
        # That on the disk is of the old one.
        self.assertIn(self.refusal(self.prog), ("no_image", "stale"))
        self.build(self.prog)

    def test_overflow_of_the_queue(self):
        most = int(pathlib.Path("/proc/sys/fs/inotify/max_queued_events").read_text("ascii"))
        # While the service stands still, so that it doesn't read them as they come.
        self.service.send_signal(signal.SIGSTOP)
        fresh = self.programs / "unrelated"
        for _ in range(most // 2 + 100):
            os.close(os.open(fresh, os.O_CREAT))
            fresh.unlink()
        with self.lib.open("ab") as file:
            file.write(b"x")
        self.service.send_signal(signal.SIGCONT)
        self.assert_stale()


class FilesUnwatched(Files):
    """The same where there are no watches left."""
    options = ("--watches", "3")

    def assert_watched(self):
        self.assertEqual([i["watched"] for i in self.state()["images"]], [False])


class Links(ServiceCase):
    def test_link_turned(self):
        one, two = self.library("one.so"), self.library("two.so")
        link = self.programs / "library.so"
        link.symlink_to("one.so")
        program = self.program(options=["--mapped", link])
        self.start()
        self.build(program)
        turned = self.programs / "turned"
        turned.symlink_to(two)
        turned.rename(link)
        self.assertEqual(self.refusal(program), "stale")
        self.build(program)
        with one.open("ab") as file:  # no longer of any matter
            file.write(b"x")
        self.assertEqual(self.refusal(program), "none")

    def test_link_of_a_directory_turned(self):
        for name in ("a", "b"):
            (self.programs / name).mkdir()
            self.library(f"{name}/library.so")
        link = self.programs / "current"
        link.symlink_to("a")
        program = self.program(options=["--mapped", link / "library.so"])
        self.start()
        self.build(program)
        link.unlink()
        self.assertEqual(self.refusal(program), "stale")
        link.symlink_to(self.programs / "b")
        self.build(program)
