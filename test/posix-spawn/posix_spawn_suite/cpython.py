# SPDX-License-Identifier: MIT
"""CPython's tests of os.posix_spawn and os.posix_spawnp, from Debian's libpythonX.Y-testsuite."""

import shutil
import sys

import debian_archive
from debian_archive import Unavailable

from . import Test

_CLASSES = ("TestPosixSpawn", "TestPosixSpawnP")


def tests(cache, _work, _library):
    version = "%d.%d" % sys.version_info[:2]
    package = f"libpython{version}-testsuite"
    directory = f"usr/lib/python{version}/test"
    tree = debian_archive.fetch_binary(cache, package, f"{directory}/test_posix.py")
    python = shutil.which(f"python{version}")
    if python is None:
        raise Unavailable(f"no python{version} in PATH to run its tests with")
    prelude = f"import sys, unittest; sys.path.insert(0, {str(tree / directory)!r})"
    main = "unittest.main('test_posix', argv=['test_posix', {!r}], verbosity=2)"
    return [
        Test("cpython", name, [python, "-B", "-c", f"{prelude}; {main.format(name)}"])
        for name in _CLASSES
    ]
