# SPDX-License-Identifier: MIT
"""What a run leaves in the file system: a tree with modes, owners, sizes, contents."""

import dataclasses
import os
import re
import stat

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


@dataclasses.dataclass(frozen=True)
class Entry:
    kind: str
    mode: int  # permission bits, with set-id and sticky
    owner: tuple  # (uid, gid)
    links: int  # hard links; 0 for directories, where it only counts children
    content: bytes  # of a file; of a link, what it points to; else empty

    def describe(self):
        text = f"{self.kind} mode {self.mode:04o} owner {self.owner[0]}:{self.owner[1]}"
        if self.kind == "file":
            text += f" size {len(self.content)} links {self.links}"
        return text


def _read_file(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except PermissionError:
        return b"<unreadable>"


def _entry(path):
    info = os.lstat(path)
    kind = _KINDS.get(stat.S_IFMT(info.st_mode), "unknown")
    content = b""
    if kind == "file":
        content = _read_file(path)
    elif kind == "link":
        content = os.readlink(path)
    links = 0 if kind == "directory" else info.st_nlink
    return Entry(kind, stat.S_IMODE(info.st_mode), (info.st_uid, info.st_gid), links, content)


def take(root):
    """All of root (bytes path), itself included as b".", by relative name."""
    entries = {}

    def visit(path, name):
        try:
            entry = _entry(path)
        except FileNotFoundError:
            return
        entries[name] = entry
        if entry.kind != "directory":
            return
        try:
            children = sorted(os.listdir(path))
        except PermissionError:
            return
        for child in children:
            visit(os.path.join(path, child), os.path.join(name, child))

    visit(root, b".")
    return entries


def shared_memory_names(directory="/dev/shm"):
    """Names in shared memory that belong to this user (others' come and go)."""
    mine = set()
    try:
        with os.scandir(directory) as found:
            for item in found:
                try:
                    if item.stat(follow_symlinks=False).st_uid == os.getuid():
                        mine.add(item.name)
                except FileNotFoundError:
                    pass
    except OSError:
        pass  # no /dev/shm here: then nothing can be left in it
    return mine


def shared_memory_abandoned(directory="/dev/shm"):
    """Names in shared memory that no living process has open or mapped.

    Whatever another test is using at the moment is its own affair.
    """
    held = set()
    pattern = re.compile(rf"{re.escape(directory)}/([^\n]+)")
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/maps", encoding="utf-8", errors="replace") as file:
                held.update(pattern.findall(file.read()))
            for descriptor in os.listdir(f"/proc/{process}/fd"):
                held.update(pattern.findall(os.readlink(f"/proc/{process}/fd/{descriptor}")))
        except OSError:
            pass  # gone meanwhile, or not ours to look at
    return shared_memory_names(directory) - held
