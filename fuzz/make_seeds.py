#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of all fuzzers: fuzz/make_seeds.py [DIRECTORY] (default: corpus beside this file).

The layouts are those of src/launch/wire.h, settings.h, profile.h, src/image/format.h, <elf.h> and, of rows of operations, what
fuzz_chain.cc reads; when one changes, change it here and run this again. Files of other names in the corpus (inputs that once failed) are left alone.
"""

import struct
import sys
from pathlib import Path

from seeds_images import images, stored_images


# ---- Requests: src/launch/wire.h -----------------------------------------------------------------

MAGIC = 0x51525750
HEADER = struct.Struct("<12I2QiI")
OPERATION = struct.Struct("<HHiiiIII")
OPEN, DUP, CLOSE = range(3)


def strings(values):
    return b"".join(v + b"\0" for v in values)


def operation(kind, fd, other=-1, flags=0, mode=0, text=0, prefix=0):
    return OPERATION.pack(kind, 0, fd, other, flags, mode, text, prefix)


def request(argv=(), env=(), targets=(), operations=(), text=b"", umask=0o22, mask=0, ignored=0, group=None):
    body = struct.pack(f"<{len(targets)}i", *targets) + b"".join(operations) + text
    body += strings(argv) + strings(env)
    flags = 0 if group is None else 2
    return (
        HEADER.pack(
            MAGIC, HEADER.size + len(body), 1, flags, len(targets), len(operations), len(text),
            len(argv), len(strings(argv)), len(env), len(strings(env)), umask, mask, ignored, group or 0, 0,
        )
        + body
    )


def requests():
    text = b"/tmp/out\0script: line 3: \0in\0\0"
    everything = request(
        argv=[b"/bin/sh", b"-c", b"echo \xff\n", b""],
        env=[b"PATH=/bin", b"", b"=odd", b"NOEQUALS"],
        targets=[0, 1, 2, 9, 255],
        operations=[
            operation(OPEN, 1, flags=0o1101, mode=0o666, text=0, prefix=9),
            operation(DUP, 2, other=1),
            operation(OPEN, 0, text=26, prefix=29),
            operation(CLOSE, 9),
        ],
        text=text,
        umask=0o77,
        mask=0x4000,
        ignored=0x1001,
        group=1234,
    )
    yield "plain", request([b"true"], [b"HOME=/"], [0, 1, 2])
    yield "nothing", request()
    yield "everything", everything
    yield "everything-cut", everything[:-1]
    yield "everything-in-memfd", everything[:12] + struct.pack("<I", 3) + everything[16:]
    yield "many-targets", request([b"x"], targets=range(200))
    yield "many-strings", request([b""] * 300, [b"A=1"] * 100)
    yield "shared-text", request(
        [b"x"], operations=[operation(OPEN, 0, text=2, prefix=2)] * 3, text=b"abcd\0"
    )
    yield "not-ascending", request([b"x"], targets=[1, 0])
    yield "text-outside", request([b"x"], operations=[operation(OPEN, 0, text=5)], text=b"abcd\0")
    yield "unknown-operation", request([b"x"], operations=[operation(7, 0)])
    yield "header-only", HEADER.pack(MAGIC, HEADER.size, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    yield "another-magic", b"\0" * HEADER.size


# ---- Settings: src/launch/settings.cc ------------------------------------------------------------


def settings():
    yield "empty", b""
    yield "all", (
        b"stats=1\nstats_json=/tmp/s.json\nlearn=0\nmax_warm=12\nisolation=exec\n"
        b"script=/home/me/run me=1.sh\nagent=/usr/lib/prewarm/agent.so\n"
    )
    yield "numbers", b"max_warm=4294967296\nmax_warm=-1\nmax_warm=\nmax_warm=0x10\nmax_warm= 7\n"
    yield "odd-lines", b"\n\n=\n==\nstats\nstats=\nunknown=1\nscript=\xff\xfe\r\nlast=1"
    yield "coprocesses", (
        b"coprocess=tool\ncoprocess=/opt/my tool=1\ncoprocess=\nbatch=/usr/bin/tool\n"
        b"declarations=/home/me/coprocesses.toml\ncommand=/usr/bin/prewarm\n"
    )
    yield "repeated", b"stats=1\nstats=0\nscript=a\nscript=b\nisolation=exec\nisolation=clone\n"


# ---- Programs: <elf.h>, as far as src/park/eligibility.cc looks ----------------------------------

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_STRTAB, DT_STRSZ, DT_RUNPATH = 5, 10, 29
CODE = b"\x31\xed\x49\x89\xd1\x5e\x48\x89\xe2\x48\x83\xe4\xf0\x50\x54\x45\x31\xc0\xf4"
GLIBC = b"/lib64/ld-linux-x86-64.so.2\0"
MUSL = b"/lib/ld-musl-x86_64.so.1\0"


def program(interpreter=GLIBC, code=CODE, names=b"\0exit\0getppid\0", tags=(), elf_class=2, machine=62):
    headers = 2 + bool(interpreter)
    at = 64 + 56 * headers
    where = {}
    body = b""
    for name, part in (("code", code), ("interpreter", interpreter or b""), ("names", names)):
        where[name] = at + len(body)
        body += part
    body += b"\0" * (-(at + len(body)) % 8)
    where["dynamic"] = at + len(body)
    dynamic = [(DT_STRTAB, where["names"]), (DT_STRSZ, len(names)), *tags, (0, 0)]
    body += b"".join(struct.pack("<qQ", *d) for d in dynamic)

    def segment(kind, flags, offset, size):
        return struct.pack("<IIQQQQQQ", kind, flags, offset, offset, offset, size, size, 8)

    table = segment(PT_LOAD, 5, 0, at + len(body)) + segment(PT_DYNAMIC, 4, where["dynamic"], 16 * len(dynamic))
    if interpreter:
        table += segment(PT_INTERP, 4, where["interpreter"], len(interpreter))
    ident = b"\x7fELF" + bytes([elf_class, 1, 1]) + b"\0" * 9
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 3, machine, 1, where["code"], 64, 0, 0, 64, 56, headers, 0, 0, 0
    )
    return header + table + body


def programs():
    good = program()
    yield "glibc", good
    yield "endbr", program(code=b"\xf3\x0f\x1e\xfa" + CODE)
    yield "no-getppid", program(names=b"\0exit\0")
    yield "runpath", program(names=b"\0$ORIGIN/../lib:/opt/lib\0exit\0", tags=[(DT_RUNPATH, 1)])
    yield "relative-runpath", program(names=b"\0lib:$LIB\0", tags=[(DT_RUNPATH, 1)])
    yield "runpath-outside", program(tags=[(DT_RUNPATH, 1 << 40)])
    yield "names-proc", program() + b"/proc/self/fd\0/proc/self/stat\0"
    yield "names-outside", program(tags=[(DT_STRSZ, 1 << 40)])
    yield "musl", program(interpreter=MUSL)
    yield "static", program(interpreter=None)
    yield "other-entry", program(code=b"\x90" * 20)
    yield "32-bit", program(elf_class=1, machine=3)
    yield "aarch64", program(machine=183)
    yield "cut-headers", good[:150]
    yield "cut-code", good[:240]
    yield "header-only", good[:64]
    yield "far-headers", good[:32] + struct.pack("<Q", (1 << 64) - 56) + good[40:]
    yield "many-headers", good[:56] + b"\xff\xff" + good[58:]
    yield "script", b"#!/bin/sh\nexit 0\n"
    yield "empty", b""


# ---- Libraries: <elf.h>, all that src/image/elf_file.h reads --------------------------------------

DT = dict(
    NEEDED=1, PLTRELSZ=2, HASH=4, STRTAB=5, SYMTAB=6, RELA=7, RELASZ=8, RELAENT=9, STRSZ=10, SYMENT=11, SONAME=14,
    PLTREL=20, JMPREL=23, INIT_ARRAY=25, INIT_ARRAYSZ=27, RUNPATH=29, RELRSZ=35, RELR=36, RELRENT=37,
    GNU_HASH=0x6FFFFEF5, VERSYM=0x6FFFFFF0, FLAGS_1=0x6FFFFFFB, VERDEF=0x6FFFFFFC, VERDEFNUM=0x6FFFFFFD,
    VERNEED=0x6FFFFFFE, VERNEEDNUM=0x6FFFFFFF,
)  # fmt: skip


def gnu_hash(name):
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def elf_hash(name):
    value = 0
    for byte in name:
        value = (value << 4) + byte
        value = (value ^ (value >> 24 & 0xF0)) & 0x0FFFFFFF
    return value


class Strings:
    def __init__(self):
        self.bytes = b"\0"

    def add(self, value):
        at = len(self.bytes)
        self.bytes += value + b"\0"
        return at


def gnu_hash_table(names, first, buckets):
    """Of names that are already in the order of their buckets."""
    hashes = [gnu_hash(n) for n in names]
    heads, chain, word = [0] * buckets, [], 0
    for i, h in enumerate(hashes):
        bucket = h % buckets
        heads[bucket] = heads[bucket] or first + i
        last = i + 1 == len(hashes) or hashes[i + 1] % buckets != bucket
        chain.append(h & ~1 | last)
        word |= 1 << (h & 63) | 1 << (h >> 6 & 63)
    return struct.pack("<4IQ", buckets, first, 1, 6, word) + struct.pack(
        f"<{buckets + len(chain)}I", *heads, *chain
    )


def library(tables="gnu", tags=(), without=(), patch=None, end=((0, 0),)):
    """One segment with everything: needs exit@GLIBC_2.2.5, defines five symbols of two versions."""
    names = Strings()
    need_file, need_version = names.add(b"libc.so.6"), names.add(b"GLIBC_2.2.5")
    soname, old, new = names.add(b"libx.so"), names.add(b"X_1"), names.add(b"X_2")
    runpath = names.add(b"$ORIGIN/../lib")
    defined = sorted([(b"one", 3), (b"one", 0x8002), (b"two", 3), (b"three", 1), (b"four", 2)],
                     key=lambda d: gnu_hash(d[0]) % 3)  # fmt: skip
    symbols = [(0, 0, 0, 0, 0, 0), (names.add(b"exit"), 0x12, 0, 0, 0, 0)]
    symbols += [(names.add(n), 0x12, 0, 7, 0x40 + 8 * i, 8) for i, (n, _) in enumerate(defined)]
    chain = [0] * len(symbols)
    heads = [0, 0]
    for i, (n, _) in enumerate(defined, 2):
        bucket = elf_hash(n) % 2
        chain[i], heads[bucket] = heads[bucket], i
    parts = {
        "STRTAB": names.bytes,
        "SYMTAB": b"".join(struct.pack("<IBBHQQ", *s) for s in symbols),
        "GNU_HASH": gnu_hash_table([n for n, _ in defined], 2, 3),
        "HASH": struct.pack(f"<{4 + len(chain)}I", 2, len(chain), *heads, *chain),
        "VERSYM": struct.pack(f"<{len(symbols)}H", 0, 4, *[v for _, v in defined]),
        "VERNEED": struct.pack("<HHIII", 1, 1, need_file, 16, 0)
        + struct.pack("<IHHII", elf_hash(b"GLIBC_2.2.5"), 0, 4, need_version, 0),
        "VERDEF": b"".join(
            struct.pack("<HHHHIII", 1, flag, index, 1, elf_hash(name), 20, following)
            + struct.pack("<II", at, 0)
            for flag, index, name, at, following in (
                (1, 1, b"libx.so", soname, 28), (0, 2, b"X_1", old, 28), (0, 3, b"X_2", new, 0))
        ),
        "RELA": struct.pack("<QQq", 0x40, 8, 0x40) + struct.pack("<QQq", 0x48, 1 << 32 | 6, 0),
        "JMPREL": struct.pack("<QQq", 0x50, 1 << 32 | 7, 0),
        "RELR": struct.pack("<4Q", 0x40, 0b1011, 0b101, 0x100),
        "INIT_ARRAY": struct.pack("<2Q", 0x40, 0x48),
    }  # fmt: skip
    if tables == "gnu":
        del parts["HASH"]
    if tables == "old":
        del parts["GNU_HASH"]
    headers = 6
    at = 64 + 56 * headers
    where, body = {}, b""
    for name, part in parts.items():
        body += b"\0" * (-(at + len(body)) % 8)
        where[name] = at + len(body)
        body += part
    body += b"\0" * (-(at + len(body)) % 8)
    note = at + len(body)
    body += struct.pack("<3I", 4, 8, 3) + b"GNU\0" + b"build-id"
    dynamic = [(DT["NEEDED"], need_file), (DT["SONAME"], soname), (DT["RUNPATH"], runpath), (DT["FLAGS_1"], 8)]
    dynamic += [(DT[name], where[name]) for name in parts]
    dynamic += [(DT[size], len(parts[name])) for name, size in (
        ("STRTAB", "STRSZ"), ("RELA", "RELASZ"), ("JMPREL", "PLTRELSZ"), ("RELR", "RELRSZ"),
        ("INIT_ARRAY", "INIT_ARRAYSZ"))]  # fmt: skip
    dynamic += [(DT["RELAENT"], 24), (DT["SYMENT"], 24), (DT["RELRENT"], 8), (DT["PLTREL"], 7)]
    dynamic += [(DT["VERNEEDNUM"], 1), (DT["VERDEFNUM"], 3)]
    dynamic = [d for d in dynamic if d[0] not in without] + [*tags, *end]
    dynamic_at = at + len(body)
    body += b"".join(struct.pack("<qQ", *d) for d in dynamic)
    sections_at = at + len(body)
    body += struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    body += struct.pack("<IIQQQQIIQQ", 0, 1, 2, 0x40, 0x40, 64, 0, 0, 32, 0)
    size = at + len(body)

    def segment(kind, offset, length, memory=None, align=8):
        return struct.pack("<IIQQQQQQ", kind, 6, offset, offset, offset, length, memory or length, align)

    table = segment(PT_LOAD, 0, size, size + 64, 4096) + segment(PT_DYNAMIC, dynamic_at, 16 * len(dynamic))
    table += segment(4, note, 24) + segment(7, 0x40, 8, 16) + segment(0x6474E551, 0, 0) + segment(0x6474E552, 0, 64)
    ident = b"\x7fELF\2\1\1" + b"\0" * 9
    header = ident + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, sections_at, 0, 64, 56, headers, 64, 2, 0)
    result = bytearray(header + table + body)
    for name, offset, value in patch or ():
        struct.pack_into("<I", result, where[name] + offset, value)
    return bytes(result)


def libraries():
    good = library()
    yield "gnu-hash", good
    yield "old-hash", library("old")
    yield "both-hashes", library("both")
    yield "no-versions", library(without=(DT["VERSYM"],))
    yield "no-needs", library(without=(DT["VERNEED"],))
    yield "names-outside", library(tags=[(DT["STRSZ"], 1 << 63)])
    yield "symbols-outside", library(tags=[(DT["SYMTAB"], (1 << 64) - 24)])
    yield "relocations-outside", library(tags=[(DT["RELASZ"], 1 << 40)])
    yield "calls-among-relocations", library(tags=[(DT["RELASZ"], 72)])
    yield "relr-bits-first", library(patch=[("RELR", 0, 3)])
    yield "relr-far", library(patch=[("RELR", 4, 1)])
    yield "hash-circle", library("old", patch=[("HASH", 8 + 8 + 4 * i, 2) for i in range(7)])
    yield "bucket-below", library(patch=[("GNU_HASH", 24, 1)])
    yield "bucket-far", library(patch=[("GNU_HASH", 24, 0xFFFFFFFF)])
    yield "no-buckets", library(patch=[("GNU_HASH", 0, 0)])
    yield "odd-filter", library(patch=[("GNU_HASH", 8, 3)])
    yield "wide-shift", library(patch=[("GNU_HASH", 12, 64)])
    yield "need-circle", library(patch=[("VERNEED", 12, 0xFFFFFFF0)])
    yield "entry-far", library(patch=[("VERNEED", 8, 0x7FFFFFFF)])
    yield "definition-far", library(patch=[("VERDEF", 16, 0x7FFFFFFF)])
    yield "version-unknown", library(patch=[("VERSYM", 4, 0x00090009)])
    yield "no-end", library(end=())
    yield "cut", good[:-200]
    yield "program", program()
    yield "empty", b""


# ---- ld.so's cache of libraries: as src/image/library_cache.h reads it ------------------------------


def cache_of(entries, subdirectories=(), magic=b"glibc-ld.so.cache1.1", count=None, order=2, extension=None,
             sections=1, strings_at=0):  # fmt: skip
    """Entries are (flags, name, path, capabilities), in the file's order: falling."""
    entries_end = 48 + 24 * len(entries)
    names, offsets = b"", {}
    for value in [v for e in entries for v in e[1:3]] + list(subdirectories):
        offsets[value] = entries_end + len(names) + strings_at
        names += value + b"\0"
    table = b"".join(
        struct.pack("<iIIIQ", flags, offsets[name], offsets[path], 0, capabilities)
        for flags, name, path, capabilities in entries
    )
    end = entries_end + len(names)
    padding = b"\0" * (-end % 4)
    at = end + len(padding)
    list_at = at + 8 + 16
    tail = struct.pack("<2I", 0xEAA42174, sections)
    tail += struct.pack("<4I", 1, 0, list_at, 4 * len(subdirectories))
    tail += struct.pack(f"<{len(subdirectories)}I", *(offsets[s] for s in subdirectories))
    header = magic + struct.pack("<IIB3xI12x", len(entries) if count is None else count, len(names), order,
                                 at if extension is None else extension)  # fmt: skip
    return header + table + names + padding + tail


def caches():
    here, other, both = 0x0303, 0x0003, 1
    levels = (b"x86-64-v2", b"x86-64-v3")

    def plain(name, flags=here, capabilities=0, directory=b""):
        return flags, name, b"/lib/" + directory + name, capabilities

    def fast(name, number):
        return plain(name, here, 1 << 62 | (number + 1) << 32 | number, b"glibc-hwcaps/" + levels[number] + b"/")

    entries = [
        plain(b"libz.so.1"),
        plain(b"libx.so.10"),
        plain(b"libx.so.9"),
        fast(b"libquick.so", 1),
        fast(b"libquick.so", 0),
        plain(b"libold.so", here, 1 << 2, b"avx512_1/"),
        plain(b"libold.so"),
        fast(b"libfast.so", 0),
        fast(b"libfast.so", 1),
        plain(b"libfast.so"),
        (other, b"libboth.so", b"/lib32/libboth.so", 0),
        (both, b"libboth.so", b"/any/libboth.so", 0),
        plain(b"libboth.so"),
        plain(b"liba.so"),
        (other, b"lib32.so", b"/lib32/lib32.so", 0),
    ]
    # Numbers come after all else, and the file is in falling order.
    entries = [entries[-1], *entries[:-1]]
    yield "some", cache_of(entries, levels)
    yield "no-extension", cache_of(entries, levels, extension=0)
    yield "far-extension", cache_of(entries, levels, extension=0xFFFFFFF0)
    yield "many-extensions", cache_of(entries, levels, sections=0xFFFFFFFF)
    yield "far-strings", cache_of(entries, levels, strings_at=1 << 20)
    yield "too-many", cache_of(entries, levels, count=1 << 30)
    yield "unordered", cache_of(entries[::-1], levels)
    yield "other-version", cache_of(entries, levels, magic=b"glibc-ld.so.cache1.2")
    yield "big-endian", cache_of(entries, levels, order=3)
    yield "none", cache_of([])
    yield "cut", cache_of(entries, levels)[:300]
    yield "empty", b""


# ---- Profiles: src/launch/profile.h --------------------------------------------------------------


def profiles():
    head = b"prewarm-profile 1\n"
    yield "empty", b""
    yield "head", head
    yield "some", head + b"12 3 /usr/bin/cut\n1 0 /bin/a name\n4294967295 4294967295 /\n"
    yield "leading-zeros", head + b"007 00 /usr/bin/sed\n"
    yield "too-large-number", head + b"4294967296 0 /usr/bin/sed\n"
    yield "negative", head + b"-1 0 /usr/bin/sed\n"
    yield "relative", head + b"1 0 sed\n"
    yield "no-newline", head + b"1 0 /usr/bin/sed"
    yield "nul", head + b"1 0 /usr/bin/s\0d\n"
    yield "blanks", head + b"1  0 /usr/bin/sed\n\n"
    yield "other-version", b"prewarm-profile 2\n1 0 /usr/bin/sed\n"
    yield "most-entries", head + b"".join(b"%d 0 /usr/bin/p%d\n" % (i, i) for i in range(64))
    yield "too-many-entries", head + b"".join(b"1 0 /%d\n" % i for i in range(65))


# ---- Rows of operations: as fuzz_chain.cc reads them ----------------------------------------------

LINK, HARD, NO_DATA, NO_EXTRA, ANOTHER, NO_ENV, TOO_LARGE = (1 << n for n in range(7))
CODES = """clone exec exec_fd open dup close close_range keep_only chdir fchdir chroot umask setsid setpgid
    take_terminal drop_terminal foreground signal_mask signal_default signal_ignore death_signal user group
    groups reset_ids ambient_capability no_new_privileges id_maps limit nice scheduler affinity oom_score
    cgroup unshare seccomp landlock trace_me""".split()
MINUS_ONE = 0xC4  # in Input::number


def text(value):
    return bytes([len(value)]) + value


def row_of_strings(values):
    return bytes([len(values)]) + b"".join(map(text, values))


def wide(value):
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "big")


def step(code, how=LINK, fd=0, other=0, value=0, more=0, rest=b""):
    number = CODES.index(code) if isinstance(code, str) else code
    return bytes([number, how, fd, other]) + wide(value) + wide(more) + rest


def execute(path, argv=None, env=(), how=0):
    rest = b"" if how & NO_DATA else text(path)
    rest += b"" if argv is None else row_of_strings(argv)
    rest += b"" if how & NO_ENV else row_of_strings(env)
    return step("exec", how, rest=rest)


def chains():
    nothing = text(b"") * 2
    clone = step("clone", fd=MINUS_ONE, other=17, more=1, rest=nothing)
    run = execute(b"/bin/true", [b"true", b"-x"], [b"A=1", b""])
    yield "shortest", clone + run
    yield "path-search", clone + execute(b"/a/ls", [b"ls"], [b"A=1"], LINK) + execute(b"/b/ls", None, [b"A=1"], LINK) + run
    yield "two-chains", (clone + run) * 2
    yield "without-clone", run + step("umask", 0, rest=nothing)
    yield "two-clones", clone + clone + run
    yield "unlinked-clone", clone[:1] + b"\0" + clone[2:] + run
    yield "unknown-codes", clone + step(38, rest=nothing) + step(0xF0, rest=nothing) + step(0xFF, 0, rest=nothing)
    yield "nulls", clone + execute(b"", [], [], LINK | NO_DATA) + execute(b"x", None, [], LINK | NO_EXTRA | NO_ENV)
    every = {
        "keep_only": b"\3" + bytes([3, 1, 1, 3, 5, 5]),
        "groups": b"\2\1\2",
        "affinity": b"\1\1\3",
        "seccomp": b"\2" + b"\6\0\0\0" * 2,
        "exec": text(b"p") + row_of_strings([b"p"]) + row_of_strings([]),
        "exec_fd": text(b"") + row_of_strings([]),
    }
    steps = [step(code, rest=every.get(code, text(b"0 0 1") * 2)) for code in CODES if code != "clone"]
    yield "every-operation", clone + b"".join(steps)
    yield "same-target-twice", clone + step("keep_only", rest=b"\2" + bytes([3, 1, 4, 1])) + run
    yield "sizes-too-large", clone + b"".join(step(c, LINK | TOO_LARGE, rest=every[c]) for c in ("keep_only", "groups", "affinity"))
    yield "many", clone + step("umask", HARD, value=0o22, rest=nothing) * 70


# ---- Chunks of nailgun's clients: src/coproc/nailgun.h -------------------------------------------


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data


def nailgun():
    command = chunk(b"A", b"a b") + chunk(b"A") + chunk(b"E", b"PATH=/bin") + chunk(b"E", b"odd") + chunk(b"D", b"/tmp")
    run = command + chunk(b"C", b"tool")
    yield "empty", b""
    yield "run", run + chunk(b"0", b"input\n") + chunk(b"H") + chunk(b".")
    yield "server", chunk(b"S") + chunk(b"1", b"out") + chunk(b"2", b"err") + chunk(b"X", b"143")
    yield "no-directory", chunk(b"C", b"tool")
    yield "odd", chunk(b"A", b"a\0b") + chunk(b"L", b"long")
    yield "cut", run[:-2]
    yield "large", run + b"\0\x10\0\1" + b"0"


# ---- Coprocesses: docs/protocol, Bazel's worker protocol -----------------------------------------


def messages():
    yield "version", b"version 1 1\nversion 1\n"
    yield "greeting", b"version 1 4\nversion 1\nimplementation x 1\nfeature concurrent 64\nfeature signal\n"
    yield "argv", (
        b"argv 7 8\narg cloudcopy\narg \narg a\\\\b\\nc\ncwd /home/ann\numask 0022\nclear-env \n"
        b"env PYTHONPATH=.\nenv GREETING=two\\nlines\n"
    )
    yield "argv-streams", b"argv 1 4\narg x\nstdin /f/in\nstdout /f/out\nstderr /f/out\n"
    yield "argv-for-owner", b"argv 1 5\narg x\nprogram /bin/x\naffinity a\nworkers 4\ntimeout-ms 100\n"
    yield "status", b"status 7 1\nexit 0\n"
    yield "status-usage", b"status 4294967295 6\nsignal 9\nuser-us 1\nsystem-us 2\nmax-rss-kib 3\nreason deadline\nretire \n"
    yield "error", b"error 2 2\nreason cwd\nmessage gone\n"
    yield "signal", b"signal 0 2\nrequest 1\nsignal 15\n"
    yield "two", b"flush 1 0\nflush 2 0\n"
    yield "cut", b"argv 7 5\narg cloudcopy\narg bar"
    yield "odd-bytes", b"echo 1 1\nx \xff\x01\r\t \n"
    yield "bad-escape", b"echo 1 1\nx \\t\n"
    yield "nul", b"echo 1 1\nx a\0b\n"
    yield "leading-zero", b"echo 01 0\n"
    yield "too-many", b"echo 1 131073\n"


def packets():
    yield "one", b"\0" + b"5:hello,"
    yield "several", b"\x23" + b"5:hello,0:,12:hello, world,"
    yield "with-descriptors", b"\x02" + b"3:abc,3:def,3:ghi,"
    yield "cut", b"\0" + b"5:hel"
    yield "no-comma", b"\x11" + b"5:hello;"
    yield "no-length", b"\0" + b":x,"
    yield "leading-zero", b"\0" + b"05:hello,"
    yield "too-long", b"\0" + b"999999999:x"
    yield "ten-digits", b"\0" + b"0000000001"
    yield "large", b"\x0f" + b"1000:" + b"x" * 1000 + b",1:y,"


def with_length(message):
    return bytes([len(message)]) + message


def responses():
    yield "json", b'{"exitCode": 1, "output": "a}\\"\\\\{", "requestId": 12, "wasCancelled": true}'
    yield "json-two", b'{"requestId":1}\n{"requestId":2}\n'
    yield "json-unknown", b'{"more": {"exitCode": [1, {}, null]}, "x": 1.5e3}'
    yield "json-wrong-type", b'{"exitCode": "1"}'
    yield "json-large-number", b'{"exitCode": 99999999999999999999}'
    yield "json-cut", b'{"output": "abc'
    yield "json-deep", b'{"a":' + b"[" * 70 + b"]" * 70 + b"}"
    yield "json-empty", b" {} "
    yield "proto", with_length(b"\x08\x01\x12\x03abc\x18\xac\x02\x20\x01")
    yield "proto-negative", b"\x0b\x08" + b"\xff" * 9 + b"\x01"
    yield "proto-unknown", with_length(b"\x28\x07\x32\x01z\x3912345678\x451234")
    yield "proto-cut", b"\x20\x12\x1eabc"
    yield "proto-group", b"\x02\x0b\x0c"
    yield "proto-empty", b"\0"
    yield "proto-too-long", b"\xff\xff\xff\xff\x0f"


def main():
    corpus = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "corpus"
    kinds = {
        "fuzz_request": requests,
        "fuzz_settings": settings,
        "fuzz_elf": programs,
        "fuzz_library": libraries,
        "fuzz_image": images,
        "fuzz_stored": stored_images,
        "fuzz_library_cache": caches,
        "fuzz_profile": profiles,
        "fuzz_chain": chains,
        "fuzz_nailgun": nailgun,
        "fuzz_message": messages,
        "fuzz_fanos": packets,
        "fuzz_bazel": responses,
    }
    for name, seeds in kinds.items():
        directory = corpus / name
        directory.mkdir(parents=True, exist_ok=True)
        for seed, data in seeds():
            (directory / seed).write_bytes(data)


if __name__ == "__main__":
    main()
