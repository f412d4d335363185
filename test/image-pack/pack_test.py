#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# pack_test.py PREWARM [CLASS.TEST]: programs with packed libraries do what they do with the stock
# loader: symbols, versions, thread-local variables, exceptions, constructors and destructors,
# dlopen, dladdr, unwinding, debuggers.
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

PREWARM = str(pathlib.Path(sys.argv.pop(1)).resolve())
HERE = pathlib.Path(__file__).resolve().parent
LIBRARIES = 24


def run(*command: str, **more) -> subprocess.CompletedProcess:
    return subprocess.run(command, text=True, capture_output=True, timeout=120, check=False, **more)


def made(*command: str) -> None:
    done = run(*command)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")


def mappings(done: subprocess.CompletedProcess) -> int:
    """How many mappings of its libraries' files the program has seen."""
    return next(int(line.split()[1]) for line in done.stdout.splitlines()
                if line.startswith("maps "))


class Set:
    """A program and its libraries, with one way to link them."""

    def __init__(self, directory: pathlib.Path, libraries: int, flags: list[str],
                 program_flags: list[str]):
        self.directory = directory
        self.program = str(directory / "program")
        self.image = str(directory / "image")
        self.plugin = str(directory / "plugin.so")
        self.libraries = libraries
        out = str(directory)
        common = ["g++", "-std=c++20", "-O1", "-I", str(HERE), "-I", out, "-L", out,
                  "-Wl,-rpath,$ORIGIN"]
        shared = [*common, "-fPIC", "-shared", *flags]
        (directory / "versions").write_text("V1 {}; V2 {} V1;\n", encoding="ascii")
        helpers = str(HERE / "helpers.cc")
        made(*shared, "-DBASE", helpers, "-o", f"{out}/libtbase.so", "-Wl,-soname,libtbase.so")
        made(*shared, "-DCHOOSER", helpers, "-o", f"{out}/libtchooser.so",
             "-Wl,-soname,libtchooser.so")
        made(*shared, "-DVERSIONED", helpers, "-o", f"{out}/libtversioned.so",
             "-Wl,-soname,libtversioned.so", f"-Wl,--version-script={out}/versions")
        made(*shared, "-DVERSIONS", helpers, "-o", f"{out}/libtversions.so", "-ltversioned",
             "-Wl,-soname,libtversions.so")
        names = []
        for n in range(libraries):
            names.append(f"-lt{n}")
            more = ["-Wl,-Bsymbolic"] if n % 5 == 2 else []
            more += ["-nostartfiles"] if n == 5 else []
            made(*shared, *more, f"-DN={n}", f"-DAFTER={(n + 1) % libraries}",
                 str(HERE / "library.cc"), "-o", f"{out}/libt{n}.so", f"-Wl,-soname,libt{n}.so",
                 "-ltbase", "-ltchooser", "-ltversions")
        lines = ["#pragma once", 'extern "C" {']
        for n in range(libraries):
            lines.append(f"int t{n}_test(); int t{n}_call(int); int t{n}_wait();"
                         f" extern int t{n}_variable;")
        lines += ["}", "struct Library { int (*test)(); int (*call)(int); int (*wait)();"
                  " int* variable; const char* name; const char* test_name; };",
                  "static const Library libraries[] = {"]
        lines += [f'  {{t{n}_test, t{n}_call, t{n}_wait, &t{n}_variable,'
                  f' "libt{n}.so", "t{n}_test"}},' for n in range(libraries)]
        lines.append("};")
        (directory / "functions.h").write_text("\n".join(lines) + "\n", encoding="ascii")
        made(*shared, "-DPLUGIN", helpers, "-o", self.plugin, "-lt3", "-ltversioned")
        made(*common, *program_flags, str(HERE / "program.cc"), "-o", self.program,
             "-Wl,--no-as-needed", *names, "-ltbase")
        built = run(PREWARM, "image", "build", "--pack", "--json", "-o", self.image, self.program)
        if built.returncode != 0:
            raise RuntimeError(built.stdout + built.stderr)
        self.facts = json.loads(built.stdout)

    def stock(self, *arguments: str) -> subprocess.CompletedProcess:
        return run(self.program, *arguments)

    def packed(self, *arguments: str) -> subprocess.CompletedProcess:
        return run(PREWARM, "exec", "--image", self.image, self.program, *arguments)


class Linked:
    """Tests for each way of linking."""

    flags: list[str] = []
    program_flags: list[str] = []
    packed_at_least = LIBRARIES

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="prewarm-pack-")
        cls.set = Set(pathlib.Path(cls.directory), LIBRARIES, cls.flags, cls.program_flags)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def test_is_packed(self):
        self.assertGreaterEqual(self.set.facts["packed"], self.packed_at_least)
        self.assertGreater(mappings(self.set.stock("maps")), 4 * LIBRARIES)
        kept = LIBRARIES + 4 - self.set.facts["packed"]
        self.assertLessEqual(mappings(self.set.packed("maps")), 6 * kept)

    def test_everything_is_the_same(self):
        stock = self.set.stock("test", self.set.plugin)
        packed = self.set.packed("test", self.set.plugin)
        self.assertIn("shared ", stock.stdout)
        self.assertEqual(stock.stdout.splitlines(), packed.stdout.splitlines())
        self.assertEqual((stock.returncode, stock.stderr), (packed.returncode, packed.stderr))

    def test_ends_alike(self):
        stock = self.set.stock("end")
        packed = self.set.packed("end")
        self.assertIn("destroyed 0", stock.stdout)
        self.assertEqual(stock.stdout, packed.stdout)


class Usual(Linked, unittest.TestCase):
    @unittest.skipIf(shutil.which("gdb") is None, "no gdb")
    def test_debugger(self):
        command = (PREWARM, "exec", "--image", self.set.image, self.set.program, "wait")
        with subprocess.Popen(command, text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as child:
            try:
                for line in child.stdout:
                    if line == "waiting\n":
                        break
                seen = run("gdb", "-nx", "-batch", "-p", str(child.pid), "-ex", "bt",
                           "-ex", "info sharedlibrary", "-ex", "print t7_variable")
            finally:
                child.stdin.close()
        output = seen.stdout + seen.stderr
        self.assertIn("t4_wait", output)
        self.assertIn("main", output)
        self.assertNotIn("not at the expected address", output)


class BoundNow(Linked, unittest.TestCase):
    flags = ["-Wl,-z,now"]


class LargePages(Linked, unittest.TestCase):
    flags = ["-Wl,-z,max-page-size=0x200000"]


class CopiedVariables(Linked, unittest.TestCase):
    # A program at fixed addresses has copies of the libraries' variables and its own PLT entries
    # for their functions: where it has a copy, the library is kept.
    program_flags = ["-no-pie"]
    packed_at_least = 0


class RelrAndOldHash(Linked, unittest.TestCase):
    flags = ["-Wl,-z,pack-relative-relocs", "-Wl,--hash-style=sysv"]


if __name__ == "__main__":
    unittest.main()
