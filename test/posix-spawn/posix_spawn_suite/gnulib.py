# SPDX-License-Identifier: MIT
"""gnulib's tests/test-posix_spawn*.c, from Debian's package gnulib.

They are compiled against the C library's own functions; ../shim stands in for what
gnulib's configure would have made.
"""

import pathlib

import debian_archive

from . import CannotBuild, Test, compile_c, fresh_directory

_SHIM = pathlib.Path(__file__).resolve().parent.parent / "shim"


def tests(cache, work, _library):
    package = "usr/share/gnulib/tests"
    tree = debian_archive.fetch_binary(cache, "gnulib", f"{package}/test-posix_spawn-open1.c")
    directory = tree / package
    built = fresh_directory(work / "gnulib")
    flags = [f"-I{_SHIM}", f"-I{directory}", f'-DSRCDIR="{directory}/"']
    flags += ['-DBOURNE_SHELL="/bin/sh"', "-include", "stdbool.h"]
    # The names that POSIX 2024 gave to what glibc 2.36 has with a suffix.
    for action in ("addchdir", "addfchdir"):
        name = f"posix_spawn_file_actions_{action}"
        flags.append(f"-D{name}={name}_np")

    found = []
    for source in sorted(directory.glob("test-posix_spawn*.c")):
        test = Test("gnulib", source.stem)
        found.append(test)
        program = built / source.stem
        # They start themselves again, and their scripts, by names in the working directory.
        test.files = ((program, source.stem),)
        script = directory / f"{source.stem}.in.sh"
        if script.exists():
            test.files += ((script, f"{source.stem}.sh"),)
        try:
            compile_c(*flags, "-o", program, source, _SHIM / "findprog.c")
            test.command = [f"./{source.stem}"]
        except CannotBuild as error:
            test.not_built = str(error)
    return found
