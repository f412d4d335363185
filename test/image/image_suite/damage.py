# SPDX-License-Identifier: MIT
"""Images of which a byte has been changed.

An image is as trusted as a library: who can write to it can run any code. The service checks the
sum over all of it before it gives it away. `exec --image` looks at sizes, at the names of files and
at what they are now; whatever else is wrong is the program's to suffer. What has to hold then: it
ends, and it finds nothing of ours in its environment or among its descriptors."""

import dataclasses
import pathlib
import random
import struct

from image_suite import cases, launch

# Offsets in ImageHeader, see src/image/format.h.
_HEADER_BYTES, _CONTEXT_BYTES = 12, 72
_SEED = 5


@dataclasses.dataclass
class Damage:
    name: str
    where: str  # "header", "tables" or "contents"
    count: int
    is_long: bool = True

    def compare(self, bench, programs):
        program = pathlib.Path(programs) / "mirror"
        image = bench.images.of(program, False)
        original = image.read_bytes()
        complaints = []
        chosen = random.Random(_SEED)
        counts = {"image": 0, "ld.so": 0, "died": 0}
        case = cases.Case("damaged", [str(program), "--output", "%D%/report"])
        plain = {way: bench.run(case, way.is_direct) for way in launch.ways((False,))}
        for _ in range(self.count):
            offset = self._offset(chosen, original)
            data = bytearray(original)
            data[offset] ^= 1 << chosen.randrange(8)
            image.write_bytes(data)
            for way, expected in plain.items():
                command = [bench.images.prewarm, "exec", "--image", str(image), "--",
                           *bench.command(case)]
                got = bench.run_command(case, command, way.is_direct)
                counts[self._kind(got)] += 1
                complaints += [f"{way.name}: byte {offset}: {line}"
                               for line in self._left(expected, got)]
        image.write_bytes(original)
        print(f"    {self.name}: {counts}", flush=True)
        return complaints

    def _offset(self, chosen, data):
        header = struct.unpack_from("=I", data, _HEADER_BYTES)[0]
        context = _context_bytes(data)
        begin, end = {"header": (0, header), "tables": (header, context),
                      "contents": (context, len(data))}[self.where]
        return chosen.randrange(begin, end)

    @staticmethod
    def _left(plain, got):
        if got.status == "timeout":
            return ["it hangs"]
        one, other = cases.last_exit(plain), cases.last_exit(got)
        return [] if other is None else [
            f"its {what} is {getattr(other, what)!r}" for what in ("environment", "descriptors")
            if len(getattr(one, what)) != len(getattr(other, what))]

    @staticmethod
    def _kind(outcome):
        if outcome.status != 0:
            return "died"
        return "ld.so" if outcome.image is None else "image"


def _context_bytes(data):
    """All that a restorer reads: header and tables."""
    return struct.unpack_from("=Q", data, _CONTEXT_BYTES)[0]


def all_damage():
    return [Damage("header", "header", 60), Damage("tables", "tables", 60),
            Damage("contents", "contents", 40)]
