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


# Each library's own `who` and `value` are reached through relocations that name them.
DEFINES = """
{visibility} const char* who(void) {{ return "{name}"; }}
{visibility} int value = {number};
static const char* (*volatile pointer)(void) = who;
static int* volatile pointed = &value;
const char* ask_{name}(void) {{ return who(); }}
const char* pointer_{name}(void) {{ return pointer(); }}
int value_{name}(void) {{ return *pointed; }}
"""
ASKS = """
#include <stdio.h>
const char* who(void) {{ return "program"; }}
int value = 1;
{declarations}
int main(void) {{
{lines}
  return 0;
}}
"""


class Interposed(unittest.TestCase):
    """The program defines what its libraries define, too. Whose is it?"""

    def test_whose_it_is(self):
        with tempfile.TemporaryDirectory(prefix="prewarm-pack-") as directory:
            out = pathlib.Path(directory)
            names = ("plain", "symbolic", "hidden", "guarded")
            for number, name in enumerate(names, 2):
                visibility = {"guarded": "protected", "hidden": "hidden"}.get(name, "default")
                (out / f"{name}.c").write_text(DEFINES.format(
                    name=name, number=number,
                    visibility=f'__attribute__((visibility("{visibility}")))'), encoding="ascii")
                made("gcc", "-fPIC", "-shared", "-Wl,-z,now", "-Wl,-soname," + f"lib{name}.so", "-o",
                     f"{out}/lib{name}.so", f"{out}/{name}.c")
            self.make_symbolic(out / "libsymbolic.so")
            declarations = "".join(f"extern const char *ask_{n}(void), *pointer_{n}(void);\n"
                                   f"extern int value_{n}(void);\n" for n in names)
            lines = "".join(f'  printf("{n} %s %s %d\\n", ask_{n}(), pointer_{n}(), value_{n}());\n'
                            for n in names)
            (out / "program.c").write_text(
                ASKS.format(declarations=declarations, lines=lines), encoding="ascii")
            made("gcc", "-rdynamic", "-o", f"{out}/program", f"{out}/program.c", f"-L{out}",
                 f"-Wl,-rpath,{out}", *[f"-l{n}" for n in names])
            built = run(PREWARM, "image", "build", "--pack", "--json", "-o", f"{out}/image",
                        f"{out}/program")
            self.assertEqual(json.loads(built.stdout)["packed"], len(names))
            stock = run(f"{out}/program")
            self.assertEqual(stock.stdout, "plain program program 1\nsymbolic symbolic symbolic 3\n"
                             "hidden hidden hidden 4\nguarded guarded guarded 5\n")
            packed = run(PREWARM, "exec", "--image", f"{out}/image", f"{out}/program")
            self.assertEqual(packed.stdout, stock.stdout)

    def make_symbolic(self, path: pathlib.Path) -> None:
        """Says so in the dynamic section. The linker's -Bsymbolic does too, but leaves nothing to be
        looked up that it would matter for."""
        flags, bind_now, symbolic = 30, 8, 2
        data = path.read_bytes()
        entry = flags.to_bytes(8, "little") + bind_now.to_bytes(8, "little")
        self.assertEqual(data.count(entry), 1)
        path.write_bytes(data.replace(
            entry, flags.to_bytes(8, "little") + (bind_now | symbolic).to_bytes(8, "little")))


if __name__ == "__main__":
    unittest.main()
