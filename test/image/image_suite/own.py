# SPDX-License-Identifier: MIT
"""Programs of our own (../programs), for all that a dynamic linker and a kernel do for a start."""

import pathlib

from image_suite.cases import Case

_LINKERS = ("linker", "linker-lazy", "linker-fixed", "linker-fixed-lazy", "linker-old",
            "linker-relr")
_CORE = ("core*",)
# What nothing but ld.so can do at each start.
_REFUSED = ("-execstack", "-relative", "-textrel")
_SOME = ("linker", "linker-fixed-lazy", "linker-old", "cxx", "process")


def cases(programs):
    """`programs`: the directory that they were built in."""
    found = []
    for name in _LINKERS:
        library = "old/liblinked.so" if name == "linker-old" else "liblinked.so"
        found.append(Case(name, [f"{programs}/{name}", f"{programs}/{library}",
                                 f"{programs}/liblinked_plugin.so"]))
    plugin = f"{programs}/libshapes_plugin.so"
    for name in ("cxx", "cxx-fixed"):
        found.append(Case(name, [f"{programs}/{name}", plugin]))
        found.append(Case(f"{name}-quick", [f"{programs}/{name}", plugin, "quick"]))
        found.append(Case(f"{name}-terminate", [f"{programs}/{name}", plugin, "terminate"],
                          dies=True, ignore_files=_CORE))
    found.append(Case("process", [f"{programs}/process"], ignore_files=_CORE))
    found.append(Case("process-fixed", [f"{programs}/process-fixed"], ignore_files=_CORE))
    for program in sorted(pathlib.Path(programs).glob("odd-*")):
        found.append(Case(program.name, [str(program)],
                          is_refused=program.name.endswith(_REFUSED)))
    for program in sorted(pathlib.Path(programs).glob("sanitized-*")):
        found.append(Case(program.name, [str(program)],
                          is_refused=program.name.endswith(("-thread", "-memory"))))
    for case in found:
        case.is_long = case.name not in _SOME
    return found
