# SPDX-License-Identifier: MIT
"""glibc's posix/tst-spawn*.c and tst-posix_spawn*.c, from the source of the installed C library.

They are compiled as ordinary programs, outside glibc's build: with the test driver and
the helpers of its support/, some single headers, and ours in ../shim for what needs
glibc's internals.
"""

import pathlib

import debian_archive

from . import CannotBuild, Test, compile_c, forward_header, fresh_directory

# What support/ has and the tests need, directly or not.
_SUPPORT = """
    check oom_error support-open-dev-null-range support_quote_blob support_record_failure
    support_test_compare_blob support_test_compare_failure support_test_main
    support_test_verify_impl temp_file write_message xasprintf xcalloc xchdir xclose
    xfclose xfopen xfork xlseek xmalloc xmemstream xmkdir xopen xrealloc xstrdup xsymlink
    xwaitpid xwrite
""".split()

_HEADERS = (
    "include/array_length.h",
    "include/intprops.h",
    "sysdeps/unix/sysv/linux/arch-fd_to_filename.h",
)

# These start themselves again, by the name that they are told.
_TAKES_ITSELF = ("tst-spawn", "tst-spawn-static", "tst-spawn5", "tst-spawn6")

_SHIM = pathlib.Path(__file__).resolve().parent.parent / "shim"


def _fetch(cache):
    version = debian_archive.source_version("libc6")
    tree = f"glibc-{debian_archive.upstream_version(version)}"
    return debian_archive.fetch_source(cache, "glibc", version, tree, "posix/tst-spawn.c")


def _command(program):
    return [str(program), *(["--", str(program)] if program.name in _TAKES_ITSELF else [])]


def tests(cache, work, library):
    """All of them, built below work; the static one also with library, an archive."""
    tree = _fetch(cache)
    headers = fresh_directory(work / "glibc-headers")
    for name in _HEADERS:
        forward_header(headers, tree / name)
    (headers / "support").symlink_to(tree / "support")
    built = fresh_directory(work / "glibc")
    flags = [f"-I{_SHIM}", f"-I{headers}", f"-I{tree / 'support'}", "-include", "limits.h"]
    flags += ["-DTIMEOUTFACTOR=1", f'-DOBJPFX="{built}/"']
    helpers = fresh_directory(work / "glibc-support")
    sources = [tree / "support" / f"{name}.c" for name in _SUPPORT]
    compile_c(*flags, "-c", *sources, _SHIM / "shim.c", cwd=helpers)
    objects = sorted(helpers.glob("*.o"))

    found = []
    sources = [*tree.glob("posix/tst-spawn*.c"), *tree.glob("posix/tst-posix_spawn*.c")]
    for source in sorted(sources):
        test = Test("glibc", source.stem)
        program = built / source.stem
        found.append(test)
        try:
            static = ["-static"] if source.stem.endswith("-static") else []
            compile_c(*flags, *static, "-o", program, source, *objects)
            test.command = _command(program)
            if static:
                ours = fresh_directory(built / "linked") / source.stem
                names = ("posix_spawn", "posix_spawnp")
                replaced = [f"-Wl,-u,prewarm_{n},--defsym={n}=prewarm_{n}" for n in names]
                libraries = [library, "-lstdc++"]
                compile_c(*flags, *static, "-o", ours, source, *objects, *libraries, *replaced)
                test.linked = _command(ours)
        except CannotBuild as error:
            test.not_built = str(error)
    return found
