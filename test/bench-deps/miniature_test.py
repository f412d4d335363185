#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# miniature_test.py PREWARM: `bench deps` with a dozen libraries of each kind. They are what they
# should be, the program is linked rightly by all ways that there are, wrong linking is noticed, and
# the reports are whole. What an interrupted run leaves is no harm. No times are looked at.
import ctypes
import html.parser
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

prewarm = pathlib.Path(sys.argv[1])
problems: list[str] = []

LIBS = 12
SYSTEM_WAYS = ["stock", "bind-now", "static"]
IMAGE_WAYS = ["image", "packed"]
WAYS = ["stock", "bind-now", "musl", "static", *IMAGE_WAYS]
KINDS = [
    ["--graph", "star"],
    ["--graph", "chain", "--funcs", "2"],
    ["--graph", "dag"],
    ["--graph", "star", "--cxx"],
    ["--graph", "chain", "--cxx", "--tls"],
    ["--graph", "dag", "--deps", "5", "--cxx", "--tls", "--versions"],
    ["--graph", "dag", "--tls", "--versions", "--max-page-size", "65536"],
]
PR_SET_CHILD_SUBREAPER = 36


def check(condition, message):
    if not condition:
        problems.append(message)


def bench(cache, *arguments, **more):
    command = [prewarm, "bench", "deps", "--dir", cache, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, **more)


def check_no_child(when):
    """Whatever a run leaves behind becomes a child of this process."""
    try:
        left = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return
    check(False, f"{when}: a process is left: {left}")


def read_elf(option, path):
    command = ["readelf", "-W", option, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Page(html.parser.HTMLParser):
    """Counts plots and collects labels."""

    def __init__(self):
        super().__init__()
        self.plots = 0
        self.texts = []

    def handle_starttag(self, tag, attrs):
        self.plots += tag == "svg"

    def handle_data(self, data):
        self.texts.append(data)


def check_memory(memory, where):
    check(memory["mappings"] > 3, f"{where}: {memory}")
    check(0 < memory["private_kib"] <= memory["pss_kib"] <= memory["rss_kib"], f"{where}: {memory}")
    check(memory["page_tables_kib"] > 0, f"{where}: {memory}")


def check_report(report, where):
    ways = {way["way"]: way for way in report["ways"]}
    check(list(ways) == WAYS, f"{where}: ways {list(ways)}")
    for name, way in ways.items():
        if "absent" in way:
            expected = name in IMAGE_WAYS or name == "musl"
            check(expected and way["absent"], f"{where}: {name} is absent: {way}")
            continue
        summary = way["to_main_us"]
        order = [summary[key] for key in ("minimum", "first_quartile", "median", "third_quartile")]
        check(summary["n"] == 2 and order == sorted(order) and order[0] > 0,
              f"{where}: {name}: {summary}")
        check(len(way["samples_us"]) == 2, f"{where}: {name}: {way['samples_us']}")
        check(len(way["processor_us"]) == 2, f"{where}: {name}: {way['processor_us']}")
        check_memory(way["alone"], f"{where}: {name} alone")
        check_memory(way["together"], f"{where}: {name} together")
        check(way["together"]["processes"] == 3 and not way["pss_of_all_reckoned"],
              f"{where}: {name}: {way}")
        check(("build_us" in way) == (name in IMAGE_WAYS), f"{where}: {name}: build_us")
    if "absent" not in ways["musl"]:
        check(ways["musl"]["alone"]["mappings"] > LIBS, f"{where}: musl has too few mappings")
    check(ways["stock"]["alone"]["mappings"] > 3 * LIBS, f"{where}: stock has too few mappings")
    check(ways["static"]["alone"]["mappings"] < LIBS + 10, f"{where}: static has too many mappings")
    check(not report["floors"], f"{where}: floors for {LIBS} libraries")


def check_libraries(kind, directory):
    """What the options promise is in the files."""
    libraries = sorted(directory.glob("libp*.so"))
    check(len(libraries) == LIBS, f"{kind}: {len(libraries)} libraries")
    last = directory / f"libp{LIBS - 1}.so"
    needed = read_elf("--dynamic", last).count("Shared library: [libp")
    graph = kind[kind.index("--graph") + 1]
    deps = int(kind[kind.index("--deps") + 1]) if "--deps" in kind else 3
    check(needed == {"star": 0, "chain": 1, "dag": deps}[graph],
          f"{kind}: the last one needs {needed}")
    segments = read_elf("--segments", last)
    check((" TLS " in segments) == ("--tls" in kind), f"{kind}: TLS segment")
    check(("0x10000\n" in segments) == ("--max-page-size" in kind), f"{kind}: alignment")
    symbols = read_elf("--dyn-syms", last)
    check(("@@PREWARM_2" in symbols) == ("--versions" in kind), f"{kind}: versions")
    check(("_ZTI11PrewarmBase" in symbols and "UNIQUE" in symbols) == ("--cxx" in kind),
          f"{kind}: vague linkage")
    left = {path.name for path in directory.iterdir() if not path.name.startswith("libp")}
    sources = {name for name in left if name.endswith((".c", ".cc"))}
    left -= {"image.image", "packed.image"}
    check(left - sources == {"program", "program-static"} and sources,
          f"{kind}: there are {sorted(left)}")


def check_kind(kind, cache):
    libraries = ["--libs", str(LIBS), *kind]
    page, report = cache / "page.html", cache / "report.json"
    done = bench(cache, *libraries, "--rounds", "2", "--processes", "3",
                 "--json", report, "--html", page)
    check(done.returncode == 0 and not done.stderr,
          f"{kind}: status {done.returncode}: {done.stderr}{done.stdout}")
    check_no_child(str(kind))
    if done.returncode != 0:
        return
    read = json.loads(report.read_text())
    check_report(read, str(kind))
    for way in read["ways"]:
        check(way["label"] in done.stdout, f"{kind}: the tables have no {way['label']}")
    seen = Page()
    seen.feed(page.read_text())
    check(seen.plots == 5 and "stock, bind now" in seen.texts,
          f"{kind}: the page has {seen.plots} plots")
    directory = pathlib.Path(read["libraries"]["directory"])
    check_libraries(kind, directory)
    made = bench(cache, *libraries, "--rounds", "0")
    check(made.stdout == f"{directory}\n", f"{kind}: --rounds 0: {made}")


def check_wrong_link(cache):
    """A library in another's place: the ways that use it fail, and the others are reported."""
    libraries = ["--libs", str(LIBS), "--graph", "star", "--ways", "stock,static"]
    directory = pathlib.Path(bench(cache, *libraries, "--rounds", "0").stdout.strip())
    library = directory / "libp3.so"
    data = library.read_bytes()
    library.write_bytes(data.replace(b"even\0", b"eve\0\0").replace(b"odd\0", b"od\0\0"))
    done = bench(cache, *libraries, "--rounds", "2", "--json", "-")
    ways = {way["way"]: way for way in json.loads(done.stdout)["ways"]}
    check(done.returncode == 1 and "it prints" in ways["stock"].get("absent", ""),
          f"a wrong link: {done}")
    check(list(ways) == ["stock", "static"] and "absent" not in ways["static"],
          f"a wrong link: {done}")
    (directory / "libp5.so").unlink()
    done = bench(cache, *libraries, "--rounds", "2", "--json", "-")
    why = json.loads(done.stdout)["ways"][0].get("absent", "")
    check(done.returncode == 1 and "exited with 127" in why and "libp5.so" in why,
          f"a library is lacking: {done}")
    check_no_child("a wrong link")
    shutil.rmtree(directory)


def check_interrupted(cache):
    """Ended while it makes libraries: nothing is taken for whole, and the next run clears up."""
    kind = ["--libs", "400", "--graph", "star", "--rounds", "0"]
    command = [prewarm, "bench", "deps", "--dir", cache, *kind]
    # Its own compiler says when it is at work, and waits until it is killed.
    tools = cache / "tools"
    tools.mkdir()
    at_work = cache / "at-work"
    os.mkfifo(at_work)
    compiler = tools / "gcc"
    compiler.write_text(f"#!/bin/sh\necho $$ >{at_work}\nexec cat {at_work}\n")
    compiler.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **output) as process:
        with at_work.open() as fifo:
            waiting = int(fifo.readline())
        process.send_signal(signal.SIGKILL)
        process.wait()
    os.kill(waiting, signal.SIGKILL)
    os.waitpid(waiting, 0)
    left = [path for path in cache.iterdir() if ".making-" in path.name]
    check(len(left) == 1, f"interrupted: {left}")
    done = bench(cache, "--libs", str(LIBS), "--funcs", "3", "--rounds", "0")
    check(done.returncode == 0 and not [path for path in left if path.exists()],
          f"not cleared up: {left} {done}")
    check(not list(cache.glob("*star-400*")), "what was interrupted is there")
    for path in (at_work, compiler):
        path.unlink()
    tools.rmdir()


def check_environment(cache):
    """Variables that say how to link are the bench's own."""
    libraries = ["--libs", str(LIBS), "--ways", "stock,static"]
    bench(cache, *libraries, "--rounds", "0")
    environment = {**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"}
    done = bench(cache, *libraries, "--rounds", "2", "--json", "-", env=environment)
    ways = json.loads(done.stdout or "{}").get("ways", [])
    absent = [way for way in ways if "absent" in way]
    check(done.returncode == 0 and ways and not absent, f"LD_TRACE_LOADED_OBJECTS: {done}")


def check_failing_linker(cache):
    """What it says is told, nothing is kept, and what was started has ended."""
    tools = cache / "tools"
    tools.mkdir()
    linker = tools / "ld"
    linker.write_text("#!/bin/sh\necho 'ld: out of luck' >&2\nexit 3\n")
    linker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    done = bench(cache, "--libs", "20", "--graph", "star", "--rounds", "0", env=environment)
    said = "exited with 3" in done.stderr and "ld: out of luck" in done.stderr
    check(done.returncode == 1 and said and not done.stdout, f"a linker that fails: {done}")
    check(not list(cache.glob("*star-20*")), "a linker that fails: something is left")
    check_no_child("a linker that fails")
    shutil.rmtree(tools)


def check_bad_use(cache):
    for arguments in (["--libs", "0"], ["--libs", "99999"], ["--funcs", "1"], ["--graph", "ring"],
                      ["--deps", "0"], ["--ways", "none"], ["--max-page-size", "5"], ["word"],
                      ["--processes", "0"]):
        done = bench(cache, *arguments)
        check(done.returncode == 2 and len(done.stderr.splitlines()) == 1, f"{arguments}: {done}")
    done = bench(cache, "--libs", "2", "--json", cache / "none" / "x")
    check(done.returncode == 1 and not done.stdout, f"--json can't be written: {done}")
    done = bench(cache, "--libs", "3", "--rounds", "0", env={"PATH": "/nonexistent"})
    check(done.returncode == 1 and "gcc" in done.stderr, f"without a compiler: {done}")
    done = bench("/proc/none", "--libs", "3", "--rounds", "0")
    check(done.returncode == 1 and "/proc/none" in done.stderr,
          f"a cache that can't be made: {done}")


ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
with tempfile.TemporaryDirectory() as temporary:
    for one in KINDS:
        check_kind(one, pathlib.Path(temporary))
    check_wrong_link(pathlib.Path(temporary))
    check_interrupted(pathlib.Path(temporary))
    check_environment(pathlib.Path(temporary))
    check_failing_linker(pathlib.Path(temporary))
    check_bad_use(pathlib.Path(temporary))
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
