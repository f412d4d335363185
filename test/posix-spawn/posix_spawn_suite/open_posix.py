# SPDX-License-Identifier: MIT
"""The Open POSIX Test Suite's conformance/interfaces/posix_spawn*, from a tree that one has.

No release has such directories (the last, 1.5.2, and the copy in the Linux Test Project
included): the suite was never extended to posix_spawn. Should a tree have them, they run.
"""

import pathlib

from debian_archive import Unavailable

from . import CannotBuild, Test, compile_c, fresh_directory


def tests(tree, work, _library):
    if tree is None:
        raise Unavailable("no tree of the Open POSIX Test Suite was given (--open-posix)")
    tree = pathlib.Path(tree).absolute()
    sources = sorted(tree.glob("conformance/interfaces/posix_spawn*/*.c"))
    if not sources:
        raise Unavailable(f"{tree} has no conformance/interfaces/posix_spawn*")
    built = fresh_directory(work / "open-posix")
    found = []
    for source in sources:
        test = Test("open-posix", f"{source.parent.name}/{source.stem}")
        found.append(test)
        program = built / f"{source.parent.name}-{source.stem}"
        try:
            compile_c(f"-I{tree / 'include'}", "-o", program, source, "-lpthread")
            test.command = [str(program)]
        except CannotBuild as error:
            test.not_built = str(error)
    return found
