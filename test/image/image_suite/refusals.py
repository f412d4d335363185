# SPDX-License-Identifier: MIT
"""Starts that can't, or mustn't, use the image: the program runs all the same, once, by ld.so.

Everything is done with copies of the mirror, which shows what would be left of an attempt."""

import ctypes
import dataclasses
import os
import pathlib
import resource
import shutil
import struct

from image_suite import cases, launch, mirror

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS, _MS_REC_PRIVATE = 0x00020000, 0x44000
_ADDR_COMPAT_LAYOUT, _ADDR_NO_RANDOMIZE = 0x0200000, 0x0040000
_SET_MODE_FILTER, _RET_ALLOW, _RET_ERRNO, _EPERM, _ENOSYS = 1, 0x7FFF0000, 0x00050000, 1, 38
_SOME = ("variable-ld-preload", "without-mremap-1", "without-prctl-1", "few-descriptors",
         "replaced", "without-close_range-1",
         "set-user-id", "cut", "no-proc", "library-replaced")
_SYSTEM_CALLS = {
    "munmap": 11, "mremap": 25, "prctl": 157, "capget": 125, "getrandom": 318,
    "prlimit64": 302, "faccessat": 269, "faccessat2": 439, "readlinkat": 267, "rseq": 334,
    "set_robust_list": 273, "getpid": 39, "pidfd_open": 434, "close_range": 436,
    "lsm_list_modules": 461,
}


@dataclasses.dataclass
class Refusal:
    name: str
    environment: dict = dataclasses.field(default_factory=dict)
    prepare: object = None  # in the child
    change: object = None  # (program, image): after the image was built; may return another image
    has_image: object = False  # or True, "direct": if it is started directly, None: either is right
    prewarm: object = None  # (path): another command to use
    ignore: tuple = ()
    is_long: bool = False
    packings: tuple = (False, True)


def _without(call, error):
    """A system call that fails."""
    def forbid():
        number = _SYSTEM_CALLS[call]
        code = b"".join(struct.pack("=HBBI", *row) for row in (
            (0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, _RET_ERRNO | error),
            (0x06, 0, 0, _RET_ALLOW)))
        kept = ctypes.create_string_buffer(code, len(code))
        program = struct.pack("=HxxxxxxQ", len(code) // 8, ctypes.addressof(kept))
        if _libc.syscall(317, _SET_MODE_FILTER, 0, program) != 0:
            raise OSError(ctypes.get_errno(), "seccomp")
    return forbid


def _limit(which, value):
    return lambda: resource.setrlimit(which, (value, resource.getrlimit(which)[1]))


def _without_proc():
    _libc.unshare(_CLONE_NEWNS)
    _libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None)
    _libc.mount(b"tmpfs", b"/proc", b"tmpfs", 0, None)


def _cut(size):
    def change(_program, image):
        os.truncate(image, size if size >= 0 else image.stat().st_size + size)
    return change


def _filled(contents):
    def change(_program, image):
        image.write_bytes(contents)
    return change


def _longer(_program, image):
    with open(image, "ab") as file:
        file.write(bytes(4096))


def _flipped(offset):
    def change(_program, image):
        data = bytearray(image.read_bytes())
        data[offset] ^= 0xFF
        image.write_bytes(data)
    return change


def _replaced(program, _image):
    other = program.with_name("other")
    shutil.copy(program.with_name("mirror-v2"), other)
    os.replace(other, program)


def _touched(program, _image):
    os.utime(program, ns=(1, 1))


def _chmod(mode):
    def change(program, _image):
        os.chown(program, 65534, 65534)
        program.chmod(mode)
    return change


def _library_replaced(program, _image):
    library = program.parent / "lib" / "a" / "libmirror_choice.so"
    other = library.with_name("other")
    shutil.copy(program.parent / "lib" / "b" / "libmirror_choice.so", other)
    os.replace(other, library)


def _gone(_program, image):
    image.unlink()


def _lonely(prewarm, root):
    """The command without the restorer beside it."""
    there = root / "lonely" / "bin" / "prewarm"
    if not there.exists():
        there.parent.mkdir(parents=True)
        shutil.copy(prewarm, there)
    return str(there)


def _other_place(prewarm, root):
    """A directory whose name has a colon can't be named to ld.so."""
    there = root / "a:b" / "prewarm"
    if not there.exists():
        there.parent.mkdir(parents=True)
        shutil.copy(prewarm, there)
        shutil.copy(pathlib.Path(prewarm).with_name("libprewarm-restore.so"), there.parent)
    return str(there)


def _refusals(programs):
    preload = f"{programs}/lib/libmirror_preload.so"
    found = [Refusal(f"variable-{name.lower().replace('_', '-')}", {name: value})
             for name, value in (
                 ("LD_PRELOAD", preload), ("LD_LIBRARY_PATH", f"{programs}/lib/b"),
                 ("LD_AUDIT", "/nonexistent.so"), ("LD_BIND_NOW", "1"), ("LD_DEBUG", "nothing"),
                 ("LD_SHOW_AUXV", ""), ("LD_WARN", "1"), ("LD_ORIGIN_PATH", "/tmp"),
                 ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0"), ("MALLOC_ARENA_MAX", "1"))]
    for one in found:  # addresses, and its own pid
        one.ignore = ((r"0x[0-9a-f]+", "ADDRESS"), (r"^ *\d+:", "PID"))
    found += [Refusal(f"without-{call}-{error}", prepare=_without(call, error), has_image=None)
              for call in _SYSTEM_CALLS for error in (_EPERM, _ENOSYS)]
    for one in found:  # nothing goes without these
        if one.name.startswith(("without-mremap", "without-prctl")):
            one.has_image = False
        elif one.name.startswith(("without-close_range", "without-lsm_list_modules")):
            one.has_image = True  # there is an older way for both
    found += [
        Refusal("stack-limit", prepare=_limit(resource.RLIMIT_STACK, 1 << 24)),
        Refusal("stack-unlimited", prepare=_limit(resource.RLIMIT_STACK, -1)),
        Refusal("few-descriptors", prepare=_limit(resource.RLIMIT_NOFILE, 5)),
        Refusal("old-layout", prepare=lambda: _libc.personality(_ADDR_COMPAT_LAYOUT),
                has_image=None),
        Refusal("old-fixed-layout", has_image=None, prepare=lambda: _libc.personality(
            _ADDR_COMPAT_LAYOUT | _ADDR_NO_RANDOMIZE)),
        Refusal("no-proc", prepare=_without_proc),
        Refusal("replaced", change=_replaced),
        Refusal("touched", change=_touched),
        Refusal("set-user-id", change=_chmod(0o4755)),
        Refusal("set-group-id", change=_chmod(0o2755)),
        Refusal("gone", change=_gone),
        Refusal("empty", change=_filled(b"")),
        Refusal("short", change=_filled(b"PWIMAGE\0")),
        Refusal("other-file", change=_filled(bytes(range(256)) * 64)),
        Refusal("cut", change=_cut(-1)),
        Refusal("cut-to-a-page", change=_cut(4096)),
        Refusal("longer", change=_longer),
        Refusal("wrong-magic", change=_flipped(0)),
        Refusal("wrong-version", change=_flipped(8)),
        Refusal("wrong-size", change=_flipped(32)),
        Refusal("no-restorer", prewarm=_lonely),
        Refusal("colon", prewarm=_other_place, has_image="direct"),
    ]
    for mebibytes in (5, 6, 8, 10, 12, 16, 20, 24, 32, 64):
        found.append(Refusal(f"address-space-{mebibytes}", has_image=None,
                             prepare=_limit(resource.RLIMIT_AS, mebibytes << 20)))
    # Packed libraries are the service's to watch: the start would have to look at each.
    found.append(Refusal("library-replaced", change=_library_replaced, packings=(False,)))
    return found


def _copy_programs(bench, refusal, programs, way):
    directory = bench.root / f"{refusal.name}-{way.name}"
    directory.mkdir()
    for name in ("mirror-choice", "mirror-v2"):
        shutil.copy2(programs / name, directory)
    (directory / "mirror-choice").rename(directory / "mirror")
    shutil.copytree(programs / "lib", directory / "lib")
    return directory


def _compare_one(bench, refusal, programs, way):
    directory = _copy_programs(bench, refusal, programs, way)
    program = directory / "mirror"
    image = bench.images.of(program, way.is_packed)
    if image is None:
        return [bench.images.why(program, way.is_packed)]
    if refusal.change is not None:
        refusal.change(program, image)
    case = cases.Case(f"{refusal.name}-run", [str(program), "--output", "%D%/report", "--maps",
                                              "--child"],
                      environment=refusal.environment, prepare=refusal.prepare,
                      ignore=(*mirror.DIFFERENCES, *refusal.ignore))
    prewarm = bench.images.prewarm
    if refusal.prewarm is not None:
        prewarm = refusal.prewarm(prewarm, bench.root)
    plain = bench.run(case, way.is_direct)
    command = [prewarm, "exec", "--image", str(image), "--", *bench.command(case)]
    imaged = bench.run_command(case, command, way.is_direct)
    found = cases.differences(case, plain, imaged)
    at_end = cases.last_exit(imaged)
    has_image = at_end is not None and at_end.is_image
    wanted = way.is_direct if refusal.has_image == "direct" else refusal.has_image
    if wanted is not None and wanted != has_image:
        found.append("it was started from the image" if has_image else "it had no image")
    shutil.rmtree(directory)
    bench.images.forget(program)
    image.unlink(missing_ok=True)
    return found


def compare(bench, refusal, programs):
    """Lines for each way in which the program didn't run as it does plainly."""
    complaints = []
    for way in launch.ways(refusal.packings):
        complaints += [f"{way.name}: {line}"
                       for line in _compare_one(bench, refusal, programs, way)]
    return complaints


def refusals(programs):
    """`programs`: the directory with the mirror."""
    found = _refusals(pathlib.Path(programs))
    for one in found:
        one.is_long = one.name not in _SOME
    return found if os.geteuid() == 0 else [one for one in found if not one.name.startswith(
        ("no-proc", "set-", "without-"))]

