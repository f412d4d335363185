# SPDX-License-Identifier: MIT
"""A cpio archive as the kernel unpacks it into its first filesystem (newc, all owned by root).

cpio(1) would need the files laid out on a disk before, and root for their owners.
"""

import os
import stat


class Archive:
    def __init__(self, file):
        self._file = file
        self._count = 0
        self._directories = {"", "/"}

    def directory(self, path, mode=0o755):
        if path not in self._directories:
            self.directory(os.path.dirname(path))
            self._directories.add(path)
            self._entry(path, stat.S_IFDIR | mode, b"")

    def link(self, path, target):
        self.directory(os.path.dirname(path))
        self._entry(path, stat.S_IFLNK | 0o777, os.fsencode(target))

    def text(self, path, text, mode=0o644):
        self.directory(os.path.dirname(path))
        self._entry(path, stat.S_IFREG | mode, text.encode())

    def copy(self, path, source):
        """The file or link `source` as `path`; nothing if it isn't for us to read."""
        status = os.lstat(source)
        if stat.S_ISLNK(status.st_mode):
            self.link(path, os.readlink(source))
        elif stat.S_ISDIR(status.st_mode):
            self.directory(path, stat.S_IMODE(status.st_mode))
        elif stat.S_ISREG(status.st_mode) and os.access(source, os.R_OK):
            self.directory(os.path.dirname(path))
            with open(source, "rb") as file:
                self._entry(path, status.st_mode, file.read(), int(status.st_mtime))

    def end(self):
        self._entry("TRAILER!!!", 0, b"")

    def _entry(self, path, mode, data, mtime=0):
        self._count += 1
        name = os.fsencode(path.lstrip("/")) + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device (2), its own device (2), name, checksum
        fields = (self._count, mode, 0, 0, 1, mtime, len(data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (head + name, data):
            self._file.write(part + bytes(-len(part) % 4))
