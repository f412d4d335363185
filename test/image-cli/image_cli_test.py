#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""image_cli_test.py PREWARM [CLASS.TEST...]: `prewarm exec` and each `prewarm image` subcommand, for
people and as JSON, with their errors; and entries, whatever has become of service, images and
programs. Programs are small ones that are made here, or Debian's."""

import ctypes
import functools
import html.parser
import json
import mmap
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "image-service"))
import waiting  # noqa: E402

PREWARM = pathlib.Path(sys.argv.pop(1)).resolve()
BOUND = 120
wait_until = functools.partial(waiting.wait_until, seconds=BOUND)
PR_SET_CHILD_SUBREAPER = 36
# Prints how it was called, and by which file it runs.
PROGRAM = """
#include <stdio.h>
#include <unistd.h>
int main(int argc, char** argv) {
  char exe[4096] = {0};
  if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0) return 9;
  printf("%s %d %s %s\\n", WORD, argc, argv[0], exe);
  return 3;
}
"""


class ImageCase(unittest.TestCase):
    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="prewarm-image-cli-")).resolve()
        self.addCleanup(shutil.rmtree, self.home, True)
        self.runtime = self.home / "run"
        self.programs = self.home / "programs"
        for directory in (self.runtime, self.programs):
            directory.mkdir(mode=0o700)
        self.env = {"HOME": str(self.home), "PREWARM_RUNTIME_DIR": str(self.runtime),
                    "PATH": f"{self.programs}:/usr/bin:/bin", "LC_ALL": "C"}
        self.addCleanup(self.end_services)

    def services(self):
        """Those that have this runtime directory: their processes are ours, as we are their reaper."""
        mark = b"PREWARM_RUNTIME_DIR=" + os.fsencode(self.runtime)
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                comm = (entry / "comm").read_text().strip()
                if comm == "prewarmd" and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                pass
        return found

    def end_services(self):
        wait_until(self.no_service_is_left, "the end of the service")
        for name in ("image.sock", "image.start"):
            (self.runtime / name).unlink(missing_ok=True)

    def no_service_is_left(self):
        """One may be under way that a program has asked for and not waited for: kills each that comes."""
        services = self.services()
        for pid in services:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return self.reap() and not services

    def reap(self):
        try:
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass
        except ChildProcessError:
            pass
        return True

    def run_it(self, *words, env=None, **more):
        return subprocess.run([str(word) for word in words], env={**self.env, **(env or {})},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=BOUND, check=False, **more)

    def prewarm(self, *words, **more):
        return self.run_it(PREWARM, *words, **more)

    def image(self, *words, status=0, **more):
        done = self.prewarm("image", *words, **more)
        self.assertEqual(done.returncode, status, done)
        return done

    def json(self, *words, **more):
        return json.loads(self.image(*words, "--json", **more).stdout)

    def make(self, name="tool", word="first"):
        """A program; made anew it is another file."""
        return self.make_from(name, PROGRAM, f'-DWORD="{word}"')

    def make_from(self, name, source, *options):
        path = self.programs / name
        new = self.programs / "new"
        subprocess.run(["gcc", "-x", "c", *options, "-o", str(new), "-"], input=source, text=True,
                       check=True)
        new.rename(path)
        return path

    def says(self, done, word, name, path):
        self.assertEqual((done.returncode, done.stdout), (3, f"{word} 1 {name} {path}\n"), done)
        self.assertEqual(done.stderr, "")

    def explained(self, path):
        done = self.prewarm("exec", "--explain", path)
        self.assertEqual(done.returncode, 3, done)
        self.assertEqual(len(done.stderr.splitlines()), 1, done)
        return done.stderr.strip().removeprefix(f"prewarm: {path}: ")

    def one_line(self, done, status, *parts):
        self.assertEqual(done.returncode, status, done)
        self.assertEqual(len(done.stderr.splitlines()), 1, done)
        for part in parts:
            self.assertIn(part, done.stderr)


class Exec(ImageCase):
    def test_the_service_is_started_and_an_image_made(self):
        tool = self.make()
        self.says(self.prewarm("exec", "tool"), "first", "tool", tool)
        wait_until((self.runtime / "image.sock").exists, "a service")
        self.says(self.prewarm("exec", "--wait", "tool"), "first", "tool", tool)
        self.assertEqual(self.explained(tool), "an image is used")
        self.assertEqual([one["program"] for one in self.json("ls")["images"]], [str(tool)])

    def test_whether_an_image_is_used_is_said(self):
        tool = self.make()
        self.assertEqual(self.explained(tool),
                         "stock loader: the loader service can't be reached")
        self.image("build", tool)
        self.assertEqual(self.explained(tool), "an image is used")
        done = self.prewarm("exec", "--explain", tool, env={"LD_BIND_NOW": "1"})
        self.assertIn("stock loader: an environment variable", done.stderr)
        self.make(word="second")
        done = self.prewarm("exec", "--wait", "--explain", tool)
        self.assertEqual(done.stdout, f"second 1 {tool} {tool}\n")
        self.assertIn("an image is used", done.stderr)

    def test_a_program_that_has_changed_is_the_new_one(self):
        tool = self.make()
        self.image("build", tool)
        self.make(word="second")
        self.says(self.prewarm("exec", tool), "second", tool, tool)

    def test_names_and_paths(self):
        tool = self.make()
        self.image("build", tool)
        done = self.prewarm("exec", "--path", tool, "--", "another name")
        self.says(done, "first", "another name", tool)
        self.says(self.prewarm("exec", "./tool", cwd=self.programs), "first", "./tool", tool)

    def test_statuses_of_what_cannot_be_executed(self):
        self.one_line(self.prewarm("exec", "no-such"), 127, "no-such: command not found")
        self.one_line(self.prewarm("exec", "/no/such"), 127, "/no/such", "no such file")
        self.one_line(self.prewarm("exec", "/tmp"), 126, "Permission denied")
        self.one_line(self.prewarm("exec"), 2, "PROGRAM")
        self.one_line(self.prewarm("exec", "--wait"), 2, "PROGRAM")

    def test_image_files(self):
        tool = self.make()
        file = self.home / "tool.image"
        self.image("build", "--output", file, tool)
        self.says(self.prewarm("exec", "--image", file, tool), "first", tool, tool)
        for contents, why, sentence in ((None, "No such file", "there is no image yet"),
                                        (b"not an image", "", "the image is damaged")):
            file.unlink(missing_ok=True)
            if contents is not None:
                file.write_bytes(contents)
            self.says(self.prewarm("exec", "--image", file, tool), "first", tool, tool)
            done = self.prewarm("exec", "--explain", "--image", file, tool)
            self.assertEqual(done.stdout, f"first 1 {tool} {tool}\n")
            lines = done.stderr.splitlines()
            self.assertEqual(len(lines), 2, done)
            self.assertIn(f"{file}: ", lines[0])
            self.assertIn(why, lines[0])
            self.assertTrue(lines[1].endswith(f"stock loader: {sentence}"), lines)
        self.assertEqual(self.services(), [])

    def test_without_a_service_that_could_be_started(self):
        tool = self.make()
        (self.runtime / "image.start").touch()
        self.says(self.prewarm("exec", tool), "first", tool, tool)
        self.assertEqual(self.services(), [])
        self.runtime.chmod(0o755)
        (self.runtime / "image.start").unlink()
        self.says(self.prewarm("exec", tool), "first", tool, tool)
        self.assertEqual(self.services(), [])


class Images(ImageCase):
    def wait_stored(self):
        wait_until(lambda: self.json("ls")["images"][0]["stored_bytes"] > 0,
                   "the image on the disk")

    def test_build_ls_rm(self):
        tool = self.make()
        self.assertEqual(self.image("ls").stdout, "no images (the loader service isn't running)\n")
        self.assertIn(f"{tool}: ", self.image("build", "tool").stdout)
        self.assertGreater(self.json("build", tool)["regions"], 5)
        table = self.image("ls").stdout.splitlines()
        self.assertEqual(len(table), 2, table)
        self.assertTrue(table[1].endswith(f"  {tool}"), table)
        listed = self.json("ls")
        self.assertTrue(listed["service"])
        self.assertEqual([one["program"] for one in listed["images"]], [str(tool)])
        self.assertIn(listed["images"][0]["state"], ("in memory", "in use"))
        self.wait_stored()
        self.assertGreaterEqual(self.json("rm", tool)["count"], 1)
        self.assertEqual(self.json("ls")["images"], [])
        self.one_line(self.image("rm", tool, status=1), 1, "there is no image of it")

    def test_without_a_service_there_is_the_disk(self):
        tool = self.make()
        self.image("build", tool)
        self.wait_stored()
        self.end_services()
        listed = self.json("ls")
        self.assertFalse(listed["service"])
        self.assertEqual([one["state"] for one in listed["images"]], ["on disk"])
        self.assertEqual(self.json("gc")["count"], 0)
        self.assertEqual(self.json("rm", tool)["count"], 1)
        self.assertEqual(self.json("ls")["images"], [])

    def test_verify(self):
        self.assertEqual(self.image("verify").stdout, "no images\n")
        tool = self.make()
        self.image("build", tool)
        self.wait_stored()
        checked = self.json("verify", tool)["images"]
        self.assertEqual(len(checked), 2, checked)
        self.assertTrue(all(one["ok"] for one in checked), checked)
        self.one_line(self.image("verify", "ls", status=1), 1, "there is no image of it")
        file = pathlib.Path(next(one["where"] for one in checked if one["where"] != "memory"))
        content = bytearray(file.read_bytes())
        content[-20] ^= 1
        file.write_bytes(content)
        self.assertIn("BAD", self.image("verify", status=1).stdout)
        bad = [one for one in self.json("verify", status=1)["images"] if not one["ok"]]
        self.assertEqual([one["where"] for one in bad], [str(file)])
        self.end_services()
        self.says(self.prewarm("exec", "--wait", tool), "first", tool, tool)

    def test_gc_releases_what_nobody_uses(self):
        self.image("build", self.make())
        self.assertGreaterEqual(self.json("gc")["count"], 1)
        self.assertNotIn("in memory", self.image("ls").stdout)

    def test_what_cannot_be_built(self):
        self.one_line(self.image("build", "no-such", status=1), 1, "no-such: there is no such")
        script = self.programs / "script"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
        self.one_line(self.image("build", "script", status=1), 1, str(script), "ELF")
        self.one_line(self.image("build", PREWARM, status=1), 1, "static")
        done = self.image("build", "--output", "/no/such/file", self.make(), status=1)
        self.one_line(done, 1, "/no/such/file")
        self.one_line(self.prewarm("image"), 2, "subcommand")
        self.one_line(self.prewarm("image", "rm"), 2, "PROGRAM")


class Entries(ImageCase):
    def setUp(self):
        super().setUp()
        self.directory = self.home / ".local/lib/prewarm/bin"
        self.first = {"PATH": f"{self.directory}:{self.env['PATH']}"}

    def entry(self, **more):
        return self.run_it(shutil.which("env"), "tool", env=self.first, **more)

    def test_an_entry_starts_the_program_whatever_has_happened(self):
        tool = self.make()
        done = self.image("install", "tool")
        self.assertIn(f'PATH="{self.directory}:$PATH"', done.stdout)
        self.says(self.entry(), "first", "tool", tool)  # no service, no image
        wait_until((self.runtime / "image.sock").exists, "a service")
        self.image("build", tool)
        before = self.json("ls")["images"][0]["served"]
        self.says(self.entry(), "first", "tool", tool)
        self.assertGreater(self.json("ls")["images"][0]["served"], before)
        self.make(word="second")  # stale
        self.says(self.entry(), "second", "tool", tool)
        self.end_services()
        for file in (self.home / ".cache/prewarm/images").iterdir():  # damaged
            file.write_bytes(file.read_bytes()[:100])
        self.says(self.entry(), "second", "tool", tool)
        self.end_services()
        (self.runtime / "image.start").touch()  # none can be started
        self.says(self.entry(), "second", "tool", tool)
        tool.unlink()
        done = self.entry()
        self.one_line(done, 127, str(tool), "no such program")

    def test_an_entry_leaves_the_environment_and_descriptors_alone(self):
        self.image("install", "python3")
        self.image("build", "python3")
        script = ("import os, sys; print(sorted(os.environ), sorted(os.listdir('/proc/self/fd')),"
                  " open('/proc/self/cmdline').read().split('\\0'), os.readlink('/proc/self/exe'))")
        by_entry = self.run_it(self.directory / "python3", "-c", script)
        stock = self.run_it("/usr/bin/python3", "-c", script)
        self.assertEqual(by_entry.stdout.replace(str(self.directory), "/usr/bin"), stock.stdout)
        self.assertEqual(by_entry.returncode, 0, by_entry)

    def test_programs_that_look_for_their_files(self):
        self.image("install", "gcc", "git", "python3")
        for program in ("gcc", "git", "python3"):
            self.image("build", program)
        source = self.home / "a.c"
        source.write_text("int main(void) { return 5; }\n")
        which = shutil.which("env")
        done = self.run_it(which, "gcc", "-o", self.home / "a", source, env=self.first)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.run_it(self.home / "a").returncode, 5)
        done = self.run_it(which, "git", "init", "-q", self.home / "repository", env=self.first)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        venv = self.home / "venv"
        done = self.run_it(which, "python3", "-m", "venv", "--without-pip", venv, env=self.first)
        self.assertEqual(done.returncode, 0, done)
        done = self.run_it(venv / "bin/python3", "-c", "import sys, json; print(sys.prefix)")
        self.assertEqual(done.stdout, f"{venv}\n", done)

    def test_install_again_and_uninstall(self):
        self.make()
        self.image("install", "tool")
        done = self.json("install", "tool", env=self.first)
        self.assertTrue(done["on_path"])
        self.assertEqual(done["entries"][0]["path"], str(self.programs / "tool"))
        self.assertIn(str(self.directory / "tool"), self.image("uninstall", "tool").stdout)
        self.assertEqual(list(self.directory.iterdir()), [])
        self.one_line(self.image("uninstall", "tool", status=1), 1, "there is no entry of it")

    def test_what_gets_no_entry(self):
        self.one_line(self.image("install", "no-such", status=1), 1, "no such program")
        done = self.json("install", "mount", status=1)
        self.assertEqual(done["entries"][0]["refusal"], "privileged")
        self.assertEqual(list(self.directory.iterdir()), [])
        self.make()
        other = self.directory / "tool"
        other.write_text("mine")
        self.one_line(self.image("install", "tool", status=1), 1, "another program's file")
        self.one_line(self.image("uninstall", "tool", status=1), 1, "isn't an entry")
        self.assertEqual(other.read_text(), "mine")
        done = self.image("install", "--dir", other / "x", "tool", status=1)
        self.one_line(done, 1, str(other))

    def test_an_entry_of_another_installation_asks_the_command(self):
        tool = self.make()
        copy = self.home / "installed"
        copy.mkdir()
        for name in ("prewarm", "prewarmd", "prewarm-entry", "libprewarm-restore.so"):
            shutil.copy(PREWARM.parent / name, copy)
        done = self.run_it(copy / "prewarm", "image", "install", "tool")
        self.assertEqual(done.returncode, 0, done)
        restorer = copy / "libprewarm-restore.so"
        shutil.copy(restorer, copy / "new")
        (copy / "new").rename(restorer)
        self.says(self.entry(), "first", "tool", tool)
        shutil.rmtree(copy)
        self.says(self.entry(), "first", "tool", tool)


class WellFormed(html.parser.HTMLParser):
    """Whether each element that begins ends."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.wrong = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


class Explain(ImageCase):
    def test_where_the_time_goes(self):
        for program in ("ls", "curl"):
            told = self.json("explain", program)
            self.assertEqual(told["refusal"], "none", told)
            self.assertIn("libc.so.6", " ".join(one["path"] for one in told["libraries"]))
            self.assertIn("/etc/ld.so.cache", told["image"]["files"])
            self.assertEqual(told["notes"], [])
            stock, image = told["times"]["stock"], told["times"]["image"]
            for step in ("exec", "search", "mapping", "relocation", "constructors", "rest"):
                self.assertGreaterEqual(stock["steps_us"][step]["median"], 0, step)
            for step in ("exec", "asking", "restoring", "constructors", "rest"):
                self.assertGreaterEqual(image["steps_us"][step]["median"], 0, step)
            self.assertGreater(stock["total_us"]["median"], 0)

    def test_for_people_and_as_a_picture(self):
        page = self.home / "page.html"
        text = self.image("explain", "--html", page, "curl").stdout
        for part in ("/usr/bin/curl: an image is used", "relocation", "until main", "ld.so.cache",
                     "depends on"):
            self.assertIn(part, text)
        content = page.read_text()
        parser = WellFormed()
        parser.feed(content)
        self.assertEqual((parser.open, parser.wrong), ([], []))
        svg = content[content.index("<svg"):content.index("</svg>") + len("</svg>")]
        drawn = xml.dom.minidom.parseString(svg)
        self.assertGreaterEqual(len(drawn.getElementsByTagName("rect")), 10)
        self.assertNotIn("://", content.replace("http://www.w3.org/2000/svg", ""))

    def test_refusals_have_their_reason(self):
        told = self.json("explain", "mount")
        self.assertEqual(told["refusal"], "privileged")
        self.assertNotIn("times", told)
        self.assertGreater(len(told["libraries"]), 1)
        self.assertIn("static", self.image("explain", PREWARM).stdout)
        self.one_line(self.image("explain", "no-such", status=1), 1, "there is no such program")
        done = self.image("explain", "--html", "/no/such/page", "mount", status=1)
        self.one_line(done, 1, "/no/such/page")


# Prints how many of its mappings lie where only images are (src/image/format.h).
IN_ARENA = """
#include <stdio.h>
int main(void) {
  char line[4096];
  int count = 0;
  unsigned long begin;
  FILE* maps = fopen("/proc/self/maps", "r");
  if (maps == NULL) return 9;
  while (fgets(line, sizeof line, maps) != NULL) {
    if (sscanf(line, "%lx-", &begin) != 1) return 8;
    if (begin >= 0x100000000000 && begin < 0x500000000000) ++count;
  }
  printf("%s\\n", count > 0 ? "image" : "stock");
  return 0;
}
"""


class Scripts(ImageCase):
    """Cold launches of `prewarm run`."""

    def many_libraries(self, count):
        """A program with so many libraries that an image pays."""
        names = []
        for i in range(count):
            names.append(f"many{i}")
            source = self.programs / f"{names[-1]}.c"
            source.write_text(f"int {names[-1]}(void) {{ return {i}; }}\n")
            subprocess.run(["gcc", "-shared", "-fPIC", "-o", self.programs / f"lib{names[-1]}.so", source],
                           check=True)
        source = self.programs / "in_arena.c"
        source.write_text(IN_ARENA)
        subprocess.run(["gcc", "-o", self.programs / "in_arena", source, f"-L{self.programs}",
                        "-Wl,--no-as-needed", *[f"-l{name}" for name in names],
                        f"-Wl,-rpath,{self.programs}"], check=True)

    def output(self, script):
        path = self.home / "script.sh"
        path.write_text("#!/bin/bash\n" + script)
        run = subprocess.run([PREWARM, "run", "--no-learn", path], env=self.env, capture_output=True,
                             text=True, timeout=BOUND, check=True)
        return run.stdout.split()

    def test_cold_launches_start_from_images(self):
        self.many_libraries(30)
        self.assertEqual(self.output("in_arena"), ["stock"], "there is no service")
        subprocess.run([PREWARM, "image", "build", "in_arena"], env=self.env, check=True,
                       stdout=subprocess.DEVNULL, timeout=BOUND)
        script = "in_arena; (in_arena; :); env | grep -c LD_; LD_BIND_NOW=1 in_arena"
        self.assertEqual(self.output(script), ["image", "image", "0", "stock"])


    def test_no_image_is_made_of_what_has_just_been_made(self):
        self.many_libraries(30)
        self.image("build", self.make())  # starts the service
        def known():
            return [pathlib.Path(one["program"]).name for one in self.json("ls")["images"]]
        wait_until(lambda: self.output("in_arena; (ls / >/dev/null); ls / >/dev/null") and
                   "ls" in known(), "an image of ls")
        self.assertNotIn("in_arena", known())

    def test_zygotes_start_from_images(self):
        """Those of curl, which has libraries enough."""
        script = """
          look() {
            local p word line
            for p in /proc/[0-9]*; do
              [[ $(readlink "$p/exe") == /usr/bin/curl ]] || continue
              word=stock
              while read -r line; do
                [[ $line != *prewarm-image* ]] || word=image
              done <"$p/maps"
              echo "$word"
              return
            done
          } 2>/dev/null
          curl --version >/dev/null
          for ((i = 0; i < 10000; ++i)); do
            found=$(look)
            [[ ! $found ]] || break
          done
          echo "$found"
          curl --version | head -n 1 | cut -d ' ' -f 1
        """
        self.assertEqual(self.output(script), ["stock", "curl"], "there is no service")
        self.image("build", "curl")
        self.output(script)  # has one made with the agent
        def is_there():
            return any(one.get("preloaded") for one in self.json("ls")["images"])
        wait_until(is_there, "an image for parking")
        self.assertEqual(self.output(script), ["image", "curl"])
        served = [one["served"] for one in self.json("ls")["images"] if one.get("preloaded")]
        self.assertGreaterEqual(sum(served), 1)


class ThroughLoader(ImageCase):
    """Starts by users who can't start programs without an exec."""

    def starts(self, *words):
        setpriv = [] if os.geteuid() != 0 else ["setpriv", "--bounding-set", "-all", "--inh-caps",
                                                "-all", "--ambient-caps", "-all"]
        return self.run_it(*setpriv, PREWARM, "exec", *words)

    def test_only_what_is_faster_so(self):
        self.image("build", self.make_from("in_arena", IN_ARENA))
        self.assertEqual(self.starts("in_arena").stdout, "stock\n")
        self.assertEqual(self.starts("--always", "in_arena").stdout, "image\n")
        explained = self.starts("--explain", "in_arena")
        self.assertEqual(explained.stdout, "stock\n")
        self.assertIn("its start is as short without", explained.stderr)


class Traced(ImageCase):
    def test_a_tracer_is_told_of_each_exec(self):
        """One that has never stopped the process before."""
        seize, options, go_on, exec_stop = 0x4206, 0x10, 7, signal.SIGTRAP | 4 << 8
        ptrace = ctypes.CDLL(None).ptrace
        ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        tool = self.make()
        self.image("build", tool)
        self.assertEqual(self.explained(tool), "an image is used")
        go = mmap.mmap(-1, 1)
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            while go[0] == 0:  # to sleep here could be taken for a stop
                pass
            os.execve(PREWARM, ["prewarm", "exec", "--always", str(tool)], self.env)
        seized = ptrace(seize, pid, 0, options)
        go[0] = 1
        self.assertEqual(seized, 0)
        executed = []
        status = os.waitpid(pid, 0)[1]
        while os.WIFSTOPPED(status):
            if status >> 8 == exec_stop:
                executed.append(os.readlink(f"/proc/{pid}/exe"))
            ptrace(go_on, pid, 0, 0)
            status = os.waitpid(pid, 0)[1]
        self.assertEqual(os.waitstatus_to_exitcode(status), 3)
        self.assertEqual((executed[0], executed[-1]), (str(PREWARM), str(tool)))


class Doctor(ImageCase):
    def test_images_are_checked(self):
        self.image("build", self.make())
        done = self.prewarm("doctor", "--json")
        checks = {one["check"]: one for one in json.loads(done.stdout)["system"]}
        self.assertIn("seccomp active", checks["images: the loader service"]["detail"])
        for name in ("images: tracing", "images: glibc", "images: start"):
            self.assertIn(name, checks)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    unittest.main()
