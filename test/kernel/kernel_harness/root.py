# SPDX-License-Identifier: MIT
"""The filesystem of the machine: packages as they are installed here, prewarm, and the tests.

Packages as a whole, not single programs with what ldd says of them: so everything is where it
always is, with its locales, plug-ins and modules.
"""

import os
import pathlib
import re
import subprocess
import tempfile

from .archive import Archive

# Besides what is essential to Debian, and what these depend on.
PACKAGES = (
    "bc bsdextrautils curl file gawk gcc libc6-dev libcap2-bin mawk mount procps psmisc python3"
).split()

# What no package owns; it was made when packages were installed.
MADE = ("/bin", "/sbin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache",
        "/etc/ld.so.conf", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf")  # fmt: skip

# What nothing looks at in there, and is large.
LEFT_OUT = re.compile(
    r"/usr/share/(doc|man|info|locale|bug|lintian|zoneinfo)/"
    r"|/(lto1|lto-wrapper|[^/]*-(lto-dump|dwp|gcov.*|ld\.gold)(-12)?)$"
    r"|/lib(asan|tsan|lsan|ubsan|mvec|gomp|quadmath|itm|atomic|m-2\.36)\.a$"
)

# Where prewarm and its tests are in there.
HOME = "/prewarm"
BUILT = ("prewarm", "prewarm.so", "libprewarm-agent.so", "prewarmd", "libprewarm-restore.so",
         "test/kernel/prewarm_kernel_program")  # fmt: skip
# For the step `cold`. They know by which path they were built.
UNIT_TESTS = "prewarm_unit_tests"
BUILT_FOR_THEM = ("libprewarm-spawn.so", "prewarm_test_state", "prewarm_test_count")
TESTS = pathlib.Path(__file__).resolve().parent.parent.parent
TESTS_INSIDE = ("corpus", "faults", "image-service", "kernel")


def _output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _needs():
    """Of each installed package: whether Debian calls it essential, and what it depends on."""
    form = "${Package}\t${Essential}\t${Pre-Depends}, ${Depends}\n"
    for line in _output("dpkg-query", "-W", "-f", form).splitlines():
        name, essential, depends = line.split("\t")
        # Of alternatives all that are installed.
        names = re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]*)", depends)
        yield name, (essential == "yes", names)


def _packages():
    needs = dict(_needs())
    ahead = [*PACKAGES, *(name for name, (essential, _) in needs.items() if essential)]
    wanted = set()
    while ahead:
        name = ahead.pop()
        if name in needs and name not in wanted:
            wanted.add(name)
            ahead += needs[name][1]
    return sorted(wanted)


def _files():
    """The paths of all that goes in, without the links of directories that lead there."""
    listed = _output("dpkg-query", "-L", *_packages()).splitlines()
    # Links that update-alternatives makes, such as awk and cc.
    listed += [f"/usr/bin/{e.name}" for e in os.scandir("/usr/bin") if e.is_symlink()]
    for top in MADE:
        listed.append(top)
        if os.path.isdir(top) and not os.path.islink(top):
            listed += [os.path.join(top, name) for name in os.listdir(top)]
    paths = set()
    for path in listed:
        if path.startswith("/") and os.path.lexists(path) and not LEFT_OUT.search(path):
            paths.add(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)))
    return sorted(paths)


def _add_tree(archive, source, target):
    for path in sorted(source.rglob("*")):
        if "__pycache__" not in path.parts:
            archive.copy(f"{target}/{path.relative_to(source)}", path)


def _add_unit_tests(archive, build):
    for name in BUILT_FOR_THEM:
        archive.copy(f"{HOME}/build/{name}", build / name)
    with tempfile.TemporaryDirectory() as place:
        small = pathlib.Path(place) / UNIT_TESTS
        subprocess.run(["strip", "-o", small, build / UNIT_TESTS], check=True)
        archive.copy(f"{HOME}/build/{UNIT_TESTS}", small)
    if str(build) != f"{HOME}/build":
        archive.link(str(build), f"{HOME}/build")


def make(file, build):
    """Writes the archive of the whole filesystem to `file`, with what was built in `build`."""
    archive = Archive(file)
    for name in ("/dev", "/proc", "/sys", "/run"):
        archive.directory(name)
    archive.directory("/tmp", 0o1777)
    for name in _files():
        archive.copy(name, name)
    for name in BUILT:
        archive.copy(f"{HOME}/build/{name}", build / name)
    _add_unit_tests(archive, build)
    for name in TESTS_INSIDE:
        _add_tree(archive, TESTS / name, f"{HOME}/test/{name}")
    archive.copy("/init", TESTS / "kernel" / "init")
    archive.end()
    file.flush()
