# SPDX-License-Identifier: MIT
"""The seeds of the fuzzers of images, for make_seeds.py. The layouts are those of
src/image/format.h and stored_file.h."""

import struct


# ---- Images: src/image/format.h; the fuzzer makes magic, version, sizes and checksum right --------

PAGE = 4096
ARENA = 0x2000_0000_0000
ZEROS, IN_IMAGE = 0xFFFFFFFF, 0xFFFFFFFE
READ, WRITE, EXECUTE = 1, 2, 4
MAPPED, PROGRAM, LOADER, ABSENT, PRELOADED = 1, 2, 4, 8, 16
PATCHED = 2
IMAGE_HEADER = struct.Struct("<8s2I2QQ2Q3Q10Q6Q4I7Q6Q7Q2Q16s")
VDSO = ARENA + 0x90_0000


def image(regions=(), files=None, patches=(), slides=(), contents=b"", total=None, header=None):
    """Offsets of regions and slides count from the contents."""
    names = b"/bin/x\0/lib/ld.so\0/etc/none\0"
    if files is None:
        files = [(0, 0x3000, PROGRAM, 0), (7, 0x1000, LOADER, 0), (18, 0, ABSENT, 0)]
    counts = [(len(regions), 40), (len(patches), 16), (len(files), 56), (len(slides), 8), (len(names), 1)]
    tables, at = [], IMAGE_HEADER.size
    for count, size in counts:
        tables += [at, count]
        at = (at + count * size + 7) // 8 * 8
    begin = (at + PAGE - 1) // PAGE * PAGE
    fields = {
        "arena": (ARENA, ARENA + 0x100_0000),
        "start": (ARENA + 0x10, ARENA + 0x20, ARENA + 0x40, 9, ARENA, ARENA + 0x30),
        "mapped": sum(1 for f in files if f[2] & MAPPED),
        "objects": (3, 1, PAGE),
        "thread": (ARENA + 0x2000, ARENA + 0x2100, ARENA + 0x2200, 24, ARENA + 0x2300, 32, 0x53053053),
        "vdso": (VDSO, 0x6000, VDSO + 0x4000, 0x4000, 0x2000, 0, 0),
    } | (header or {})
    pages = (len(contents) + PAGE - 1) // PAGE if total is None else total
    data = IMAGE_HEADER.pack(
        b"PWIMAGE", 1, IMAGE_HEADER.size, 0, 0, begin + pages * PAGE, 1, 2, *fields["arena"],
        tables[4] + 56, *tables, *fields["start"], fields["mapped"], *fields["objects"],
        *fields["thread"], 8 << 20, 0, 0, 0, 100, fields["vdso"][1], *fields["vdso"], 0, 0, b"",
    )
    for address, size, offset, source, protection, flags, descriptor in regions:
        offset += begin if source == IN_IMAGE else 0
        data += struct.pack("<3Q4I", address, size, offset, source, protection, flags, descriptor)
    for address, role in patches:
        data += struct.pack("<Q2I", address, role, 0)
    for path, size, flags, descriptor in files:
        data += struct.pack("<4Q2q2I", path, 1, 2, size, 3, 4, flags, descriptor)
    for offset in slides:
        data += struct.pack("<Q", begin + offset)
    return (data + names).ljust(begin, b"\0") + contents if contents else data + names


def images():
    text = (ARENA, PAGE, 0, IN_IMAGE, READ | EXECUTE, 0, 0)
    data = (ARENA + 0x2000, 2 * PAGE, PAGE, IN_IMAGE, READ | WRITE, 0, 0)
    yield "small", image([text, data], total=3)
    word = struct.pack("<Q", ARENA + 0x123)
    contents = b"\xc3" * PAGE + word + bytes(0xFF5) + word
    relro = (ARENA + 0x8000, PAGE, PAGE, IN_IMAGE, READ, PATCHED, 0)
    patches = [(ARENA + 0x2400, 3), (ARENA + 0x2404, 2), (ARENA + 0x8010, 0)]
    slides = [PAGE, PAGE + 0xFFD]
    yield "everything", image(
        [(0x40_0000, 2 * PAGE, PAGE, 0, READ | EXECUTE, 0, 1), (0x60_0000, PAGE, 0, 1, READ, 0, 0), text, data,
         relro, (ARENA + 0x1_0000, 0x1000_0, 0, ZEROS, READ | WRITE, 1, 0)],
        [(0, 0x3000, PROGRAM | MAPPED, 1), (7, 0x1000, LOADER | MAPPED, 0), (18, 0, ABSENT, 0)],
        patches, slides, contents, 3, {"start": (ARENA + 0x10, 0x40_0000, 0x40_0040, 9, ARENA, ARENA + 0x30)},
    )
    yield "no-vdso-no-rseq", image(
        [text, data], total=3,
        header={"vdso": (0,) * 7, "thread": (ARENA + 0x2000, ARENA + 0x2100, ARENA + 0x2200, 24, 0, 0, 0)},
    )
    yield "large-alignment", image([text, data], total=3, header={"objects": (3, 1, 1 << 21)})
    yield "shared-contents", image([text, data, (ARENA + 0x8000, PAGE, 0, IN_IMAGE, READ, 0, 0)], total=3)
    yield "overlap", image([text, (ARENA, *data[1:])], total=3)
    yield "writable-and-executable", image([(*text[:4], 7, 0, 0), data], total=3)
    yield "outside", image([text, (data[0], data[1], 1 << 40, *data[3:])], total=3)
    yield "behind-the-file", image(
        [(0x40_0000, PAGE, 3 * PAGE, 0, READ, 0, 0), text, data], [(0, 0x3000, 3, 0), (7, 0, LOADER, 0)], total=3
    )
    yield "overlapping-slides", image([text, data], slides=[PAGE, PAGE + 4], contents=contents, total=3)
    yield "no-regions", image(total=1)
    for name, which in (("preloaded", 2), ("preloaded-program", 0)):
        flags = [PROGRAM, LOADER, 0]
        flags[which] |= PRELOADED
        yield name, image([text, data], list(zip((0, 7, 18), (0x3000, 0x1000, 0x1000), flags, (0, 0, 0))), total=3)
    yield "vdso-in-a-region", image([text, data], total=3, header={"vdso": (ARENA + 0x1000, 0x6000, ARENA + 0x1000, 0x6000, 0, 0, 0)})


def stored_images():
    """src/image/stored_file.h; frames of RFC 8878 with one raw or repeated block."""
    path = b"/bin/x"
    raw = b"\x28\xb5\x2f\xfd\x20\x05" + (5 << 3 | 1).to_bytes(3, "little") + b"image"
    row = b"\x28\xb5\x2f\xfd\x60\x00\x0f" + (4096 << 3 | 3).to_bytes(3, "little") + b"\0"
    for name, frame, size in (
        ("raw", raw, 5), ("row", row, 4096), ("too-short", raw, 6), ("too-long", row, 4095),
        ("cut", raw[:-1], 5), ("two-frames", raw * 2, 10), ("no-frame", b"", 0),
    ):
        yield name, struct.pack("<8s2I8Q2I", b"PWSTORE", 1, 88, 0, 0, 1, 2, size, len(frame), 0, 0, 1, len(path)) + path + frame
