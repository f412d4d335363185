# SPDX-License-Identifier: MIT
"""Programs that are started from images, and compared with plain starts.

An image's memory lies where the kernel puts nothing (src/image/format.h): so a program that shows
its own mappings shows whether it came from one."""

import contextlib
import ctypes
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "image-service"))

import client  # noqa: E402  (needs the path above)

ARENA = (0x1000_0000_0000, 0x5000_0000_0000)
PR_CAPBSET_DROP, CAPABILITIES = 24, 41
WAIT = 600  # seconds; the machine is slow

_libc = ctypes.CDLL(None)


def _drop_capabilities():
    """Root's too, from its next exec on."""
    for number in range(CAPABILITIES):
        _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)


def starts_directly():
    """Whether the kernel lets root's command be another program without an exec, and no security
    module would miss that (src/image/exec_direct.cc)."""
    if os.geteuid() != 0:
        return False
    try:
        with open("/proc/self/attr/current", encoding="utf-8") as file:
            file.read()
        return False
    except OSError:
        return True


def _run(command, environment=None, **how):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          timeout=WAIT, env=environment, **how)  # fmt: skip


def _uses_arena(text):
    """Whether one of the lines is a mapping of an image's: BEGIN-END…"""
    return any(ARENA[0] <= int(begin, 16) < ARENA[1]
               for begin in re.findall(r"(?m)^([0-9a-f]+)-[0-9a-f]+", text))  # fmt: skip


def programs(own):
    """(name, command that says the same each time, command that shows its mappings)."""
    return (
        ("ls", ["/usr/bin/ls", "-l", "/usr/lib"], ["/usr/bin/ls", "/proc/self/map_files"]),
        ("curl", ["/usr/bin/curl", "-s", "file:///etc/passwd"],
         ["/usr/bin/curl", "-s", "file:///proc/self/maps"]),
        ("c++", [own], [own, "how"]),
    )  # fmt: skip


def _difference(plain, subject):
    fault = ""
    for what in ("returncode", "stdout", "stderr"):
        expected, got = getattr(plain, what), getattr(subject, what)
        if expected != got:
            fault += f"{what} is {got!r}, of a plain start {expected!r}\n"
    return fault


def _compare(start, same, shows, expected, **how):
    """`start`: the words in front of a program."""
    fault = _difference(_run(same, **how), _run([*start, *same], **how))
    shown = _run([*start, *shows], **how)
    text = (shown.stdout + shown.stderr).decode(errors="replace")
    if shows[-1] == "how":
        if text != expected + "\n":
            fault += f"it was started {text.strip()!r}, not {expected!r}\n"
    elif not _uses_arena(text):
        fault += f"no image was used; its mappings:\n{text}"
    return fault


def from_files(prewarm, own):
    """Yields (name, what is wrong)."""
    ways = [("root" if os.geteuid() == 0 else "user", None)]
    if os.geteuid() == 0:
        ways.append(("no-capabilities", _drop_capabilities))
    with tempfile.TemporaryDirectory() as directory:
        for name, same, shows in programs(own):
            noticed = _compare(["/usr/bin/env"], same, shows, "direct")
            yield f"self-test.{name}", "" if noticed else "a plain start is taken for another"
            for packing in ("--no-pack", "--pack"):
                image = os.path.join(directory, f"{name}{packing}")
                built = _run([prewarm, "image", "build", packing, "--output", image, same[0]])
                case = f"{name}.{packing.strip('-')}"
                said = (built.stdout + built.stderr).decode(errors="replace")
                yield f"build.{case}", said if built.returncode != 0 else ""
                for way, prepare in ways:
                    direct = starts_directly() and prepare is None
                    how = "direct" if direct else "by ld.so"
                    start = [prewarm, "exec", "--image", image]
                    fault = _compare(start, same, shows, how, preexec_fn=prepare)
                    yield f"{way}.{'direct' if direct else 'ld-so'}.{case}", fault


def _answers(directory):
    try:
        client.Client(f"{directory}/image.sock").close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def _service(prewarmd, directory):
    environment = {**os.environ, "PREWARM_RUNTIME_DIR": directory}
    command = [prewarmd, "--seccomp-kill", "--cache-directory", f"{directory}/cache"]
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL) as service:
        try:
            while service.poll() is None and not _answers(directory):
                time.sleep(0.01)
            yield environment
        finally:
            service.terminate()


def by_service(prewarmd, prewarm, own):
    """Yields (name, what is wrong): the service makes the images in its sandbox, and answers."""
    said = _run([prewarmd, "--print-sandbox"])
    text = (said.stdout + said.stderr).decode(errors="replace")
    is_whole = said.returncode == 0 and re.search(r"(?m)^Landlock: ABI [2-9]", text) \
        and "seccomp: yes" in text
    yield "sandbox", "" if is_whole else text
    how = "direct" if starts_directly() else "by ld.so"
    with tempfile.TemporaryDirectory() as directory, \
            _service(prewarmd, directory) as environment:
        for name, same, shows in programs(own):
            with client.Client(f"{directory}/image.sock") as peer:
                peer.socket.settimeout(WAIT)
                with peer.map(same[0], flags=client.BUILD | client.WAIT) as answer:
                    yield f"map.{name}", f"refusal {answer.refusal}" if answer.refusal else ""
            start = [prewarm, "exec"]
            yield f"service.{name}", _compare(start, same, shows, how, environment=environment)
