# SPDX-License-Identifier: MIT
"""A command whose runs from images are compared with a plain run of it."""

import dataclasses
import difflib
import fnmatch
import hashlib
import os
import pathlib
import re
import shutil
import stat

from image_suite import launch


@dataclasses.dataclass
class Case:
    name: str
    command: list  # the program by its name or path; %D% is the directory of the run
    files: dict = dataclasses.field(default_factory=dict)  # name: text or bytes, there before
    environment: dict = dataclasses.field(default_factory=dict)
    stdin: bytes = b""
    ignore: tuple = ()  # regular expressions, or pairs with what is put in place of a match
    keep: str = ""  # a regular expression: only lines that it is found in are compared
    ignore_files: tuple = ()  # patterns of names whose contents are not compared
    is_long: bool = False
    needs: tuple = ()  # files or programs without which it is skipped
    may_refuse: bool = False  # the program can't have an image at all: stock, the same
    is_refused: bool = False  # and must not have one
    dies: bool = False  # by a signal: nobody sees its end
    prepare: object = None  # called in the child before it executes anything
    is_unprivileged: bool = False  # `prepare` gives up what a direct start takes


BASE_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
    "USER": "tester", "LOGNAME": "tester", "TERM": "dumb", "TZ": "UTC",
}


class Bench:
    def __init__(self, root, prewarm):
        self.root = pathlib.Path(root)
        self.root.chmod(0o755)
        (self.root / "images").mkdir()
        self.prewarm = prewarm
        self.images = launch.Images(prewarm, self.root / "images")

    def directory(self, case):
        """The same path for every run, with the case's files."""
        path = self.root / case.name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        for name, contents in case.files.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
            if file.read_bytes()[:2] == b"#!":
                file.chmod(0o755)
        return path

    def command(self, case):
        words = [word.replace("%D%", str(self.root / case.name)) for word in case.command]
        program = words[0] if "/" in words[0] else shutil.which(words[0],
                                                               path=BASE_ENVIRONMENT["PATH"])
        return [program, *words[1:]]

    def run(self, case, way=None):
        """By an image, or as a plain exec; with the same capabilities, the latter, as `way`."""
        plain = way is None or isinstance(way, bool)
        is_direct = way if isinstance(way, bool) else way is None or way.is_direct
        command = self.command(case)
        if not plain:
            command = self.images.command(way, command) or command
        return self.run_command(case, command, is_direct)

    def run_command(self, case, command, is_direct):
        """Another command in the place of the case's own."""
        directory = self.directory(case)
        environment = {**BASE_ENVIRONMENT, "HOME": str(directory)}
        for name, value in case.environment.items():
            environment[name] = value.replace("%D%", str(directory))
        return launch.run(command, directory=directory, is_direct=is_direct,
                          environment=environment, stdin=case.stdin, prepare=case.prepare)


def _is_open_to_others(path):
    return all(directory.stat().st_mode & stat.S_IXOTH for directory in pathlib.Path(path).parents)


def missing(bench, case):
    """What the case needs and isn't there, or None."""
    if case.is_unprivileged and os.geteuid() != 0:
        return "only root can become somebody else"
    if case.is_unprivileged and not _is_open_to_others(bench.prewarm):
        return "a directory above the command is closed to others"
    for need in (case.command[0], *case.needs):
        if "%" in need:
            continue
        there = os.path.exists(need) if need.startswith("/") else shutil.which(
            need, path=BASE_ENVIRONMENT["PATH"])
        if not there:
            return f"{need} is not installed"
    return None


def _lines(case, text):
    text = text.decode("utf-8", "backslashreplace")
    for pattern in case.ignore:
        pattern, replacement = (pattern, "…") if isinstance(pattern, str) else pattern
        text = re.sub(pattern, replacement, text, flags=re.M)
    return [line for line in text.splitlines() if re.search(case.keep, line)]


def _file_lines(case, files):
    lines = []
    for name, (mode, contents) in files.items():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in case.ignore_files):
            contents = None
        lines.append(f"{name} {mode}")
        if isinstance(contents, str):  # a link
            lines.append(f"{name} -> {contents}")
        elif contents is not None and b"\0" in contents:
            lines.append(f"{name}: {len(contents)} bytes, {hashlib.sha256(contents).hexdigest()}")
        elif contents is not None:
            lines += [f"{name}: {line}" for line in _lines(case, contents)]
    return lines


def diff(what, one, other):
    found = difflib.unified_diff(one, other, f"plain/{what}", f"image/{what}", lineterm="", n=0)
    return [line[:2000] for line in found]


def last_exit(outcome):
    """The look at the process that was started when it ended; None if it ended otherwise."""
    return outcome.looks[-1] if outcome.looks and not outcome.looks[-1].is_exec else None


def _descriptors(case, look):
    """Numbers, and targets where those are the same at each run."""
    def stable(target):
        return re.sub(r"(pipe|socket):\[\d+\]|/\d{3,}|\.[A-Za-z0-9]{6,}$|#\d+", "…", target)
    return [f"{number} {_lines(case, stable(target).encode())}"
            for number, target in sorted(look.descriptors.items())]


def differences(case, plain, imaged):
    """What can be seen from outside and differs, as lines; empty if nothing does."""
    found = []
    if plain.status != imaged.status:
        found.append(f"status {plain.status}, but {imaged.status} from the image")
    found += diff("stdout", _lines(case, plain.output), _lines(case, imaged.output))
    found += diff("stderr", _lines(case, plain.errors), _lines(case, imaged.errors))
    found += diff("files", _file_lines(case, plain.files), _file_lines(case, imaged.files))
    one, other = last_exit(plain), last_exit(imaged)
    if one is not None and other is not None:
        for what in ("executable", "name", "arguments", "environment", "auxiliary"):
            if getattr(one, what) != getattr(other, what):
                found.append(f"at its end its {what} is {getattr(one, what)!r}, but "
                             f"{getattr(other, what)!r} from the image")
        found += diff("descriptors", _descriptors(case, one), _descriptors(case, other))
    return found


def started_wrongly(case, way, outcome):
    """Complaints if it wasn't started in the way that it should have been."""
    if case.dies and outcome.execs_before_image is None:
        return []
    wanted = 1 if way.is_direct and not case.is_unprivileged else 2
    if outcome.execs_before_image is None:
        return [f"it had no image: {len(outcome.looks)} looks"]
    if outcome.execs_before_image != wanted:
        return [f"it was started by {outcome.execs_before_image} execs, not {wanted}"]
    return []


def compare(bench, case):
    """Lines for each way that was not as the plain start; empty if all were."""
    complaints = []
    plain = {}
    for way in launch.ways():
        command = bench.command(case)
        if bench.images.of(command[0], way.is_packed) is None:
            if not case.may_refuse and not case.is_refused:
                complaints.append(f"{way.name}: {bench.images.why(command[0], way.is_packed)}")
            continue
        if case.is_refused:
            complaints.append(f"{way.name}: it has an image")
        if way.is_direct not in plain:
            plain[way.is_direct] = bench.run(case, way.is_direct)
        imaged = bench.run(case, way)
        found = differences(case, plain[way.is_direct], imaged)
        if found and differences(case, plain[way.is_direct], bench.run(case, way.is_direct)):
            found.append("(nor are two plain runs the same)")
        found += started_wrongly(case, way, imaged)
        complaints += [f"{way.name}: {line}" for line in found]
    return complaints
