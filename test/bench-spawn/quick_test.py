#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# quick_test.py PREWARM: `bench spawn --quick` measures everything there is and reports it as it should, from
# the build tree and from an install; bad use and failures have their statuses; no process is left behind.
# No times are looked at.
import ctypes
import html.parser
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

prewarm = pathlib.Path(sys.argv[1])
problems = []

CALLERS = ["base", "mapped", "touched", "threads"]
PROGRAMS = ["static", "dynamic"]
ALWAYS = ["fork", "vfork", "posix_spawn", "ring", "ring-direct", "ring-vfork", "ring-fork", "command"]
FLOORS = 8
PR_SET_CHILD_SUBREAPER = 36


def check(condition, message):
    if not condition:
        problems.append(message)


def run(*arguments, command=prewarm, **more):
    return subprocess.run([command, *arguments], capture_output=True, text=True, timeout=200, **more)


def check_no_child(when):
    """Whatever a run leaves behind becomes a child of this process."""
    try:
        left = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return
    check(False, f"{when}: a process is left: {left}")


class Page(html.parser.HTMLParser):
    """Collects labels; complains about an address, a script or a tag that isn't closed."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.plots = 0
        self.texts = []

    def handle_starttag(self, tag, attrs):
        self.plots += tag == "svg"
        check(tag != "script" and not any(name in ("src", "href") for name, _ in attrs), f"<{tag} {attrs}>")
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        check(self.open and self.open.pop() == tag, f"the page's <{tag}> is closed where it wasn't opened")

    def handle_data(self, data):
        self.texts.append(data)


def check_summary(summary, count, where):
    check(summary["n"] == count, f"{where}: {summary['n']} samples instead of {count}")
    order = [summary[key] for key in ("minimum", "first_quartile", "median", "third_quartile")]
    check(order == sorted(order) and order[0] > 0, f"{where}: {summary}")


def check_times(report):
    seen = {}
    for entry in report["times"]:
        key = (entry["way"], entry["caller"], entry["program"])
        seen[key] = entry
        if "absent" in entry:
            check(entry["absent"], f"{key} is absent without a reason")
            continue
        slow = entry["way"] in ("fork", "ring-fork") and entry["caller"] == "touched"
        for metric in ("to_child_us", "blocked_us", "to_end_us"):
            check_summary(entry[metric], report["rounds"] if slow else report["runs"], f"{key} {metric}")
        for metric in ("to_child_us", "blocked_us"):
            check(entry[metric]["minimum"] < entry["to_end_us"]["minimum"], f"{key}: ended before {metric}")
    ways = [way["way"] for way in report["ways"]]
    check(set(seen) == {(w, c, p) for w in ways for c in CALLERS for p in PROGRAMS}, "not all times are there")
    for way in ALWAYS:
        for caller in CALLERS:
            for program in PROGRAMS:
                check("absent" not in seen[way, caller, program], f"{way}, {caller}, {program} is absent")
    for caller in CALLERS:
        check("absent" in seen["parked", caller, "static"], "a static program was parked")
        check("absent" not in seen["parked", caller, "dynamic"], f"parked, {caller} is absent")


def check_rates(report):
    seen = set()
    for entry in report["rates"]:
        key = (entry["way"], entry["caller"], entry["program"], entry["outstanding"])
        seen.add(key)
        if "absent" not in entry:
            check_summary(entry["per_second"], report["rounds"], str(key))
    for way in ALWAYS:
        for program in PROGRAMS:
            for outstanding in (1, 4, 16):
                check((way, "base", program, outstanding) in seen, f"no rate of {way} with {outstanding}")
            check((way, "threads", program, 16) in seen, f"no rate of {way} with 64 threads")


def check_reports(directory):
    json_path, html_path = directory / "report.json", directory / "report.html"
    done = run("bench", "spawn", "--quick", "--json", json_path, "--html", html_path)
    check(done.returncode == 0 and not done.stderr, f"--quick: status {done.returncode}: {done.stderr}")
    check_no_child("--quick")
    if done.returncode != 0:
        return
    report = json.loads(json_path.read_text())
    check_times(report)
    check_rates(report)
    check(len(report["floors"]) == FLOORS, f"{len(report['floors'])} floors")
    for floor in report["floors"]:
        check(floor["measured"] and isinstance(floor["met"], bool), f"floor: {floor}")
    check(f"of {FLOORS} floors met" in done.stdout, "the table has no floors")
    page = Page()
    page.feed(html_path.read_text())
    check(not page.open, f"the page leaves open: {page.open}")
    check(page.plots == 3 * len(PROGRAMS), f"{page.plots} plots")
    for way in report["ways"]:
        check(way["label"] in page.texts or f"{way['label']}, " in "".join(page.texts), f"no plot has {way}")
        check(way["label"] in done.stdout, f"no table has {way}")


def check_install(directory):
    """As installed: bin/prewarm, and what it needs in lib/prewarm."""
    (directory / "bin").mkdir()
    parts = directory / "lib" / "prewarm"
    parts.mkdir(parents=True)
    command = shutil.copy2(prewarm, directory / "bin")
    for part in ("libprewarm-agent.so", "prewarm-child-static", "prewarm-child-dynamic"):
        shutil.copy2(prewarm.with_name(part), parts)
    done = run("bench", "spawn", "--quick", "--json", "-", command=command)
    check(done.returncode == 0, f"from an install: status {done.returncode}: {done.stderr}")
    report = json.loads(done.stdout or "{}")
    check(report and report["quick"] and report["benchmark"] == "prewarm bench spawn", "from an install: the report")

    broken = parts / "prewarm-child-dynamic"
    broken.unlink()
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    done = run("bench", "spawn", "--quick", command=command)
    check(done.returncode == 1 and "prewarm-child-dynamic" in done.stderr and not done.stdout,
          f"a program that fails: status {done.returncode}: {done.stderr}")
    check_no_child("a program that fails")


def check_bad_use(directory):
    for arguments in (["bench"], ["bench", "spawn", "--runs", "0"], ["bench", "spawn", "--no-such"],
                      ["bench", "spawn", "word"], ["bench", "other"]):
        done = run(*arguments)
        check(done.returncode == 2 and len(done.stderr.splitlines()) == 1, f"{arguments}: {done}")
    for option in ("--json", "--html"):
        done = run("bench", "spawn", "--quick", option, directory / "none" / "x")
        check(done.returncode == 1 and not done.stdout, f"{option} can't be written: {done}")
    help_text = run("--help").stdout
    check("bench" in help_text and "bench-spawn-caller" not in help_text, "--help")


def check_caller():
    """The hidden half, by itself: an order that it can't obey ends it."""
    environment = {"PATH": f"/usr/bin:{prewarm.parent}"}
    for order in ("time fork prewarm-child-static 0", "time none prewarm-child-static 1", "nonsense",
                  "time fork no-such-program 1", "rate fork prewarm-child-static 0 1"):
        done = run("bench-spawn-caller", "0", "0", "0", input=order + "\n", env=environment)
        check(done.returncode == 1 and done.stdout.startswith("failed "), f"order {order}: {done}")
    done = run("bench-spawn-caller", "1", "1", "2", input="check none x\n", env=environment)
    check(done.returncode == 0 and done.stdout.startswith("no "), f"check: {done}")
    done = run("bench-spawn-caller", "0", "0", "0", input="time vfork prewarm-child-static 3\n", env=environment)
    lines = done.stdout.splitlines()
    check(lines[:1] == ["ok"] and [len(line.split()) for line in lines[1:]] == [3, 3, 3], f"time: {done}")
    check_no_child("callers")


ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
with tempfile.TemporaryDirectory() as temporary:
    (pathlib.Path(temporary) / "a").mkdir()
    check_reports(pathlib.Path(temporary))
    check_install(pathlib.Path(temporary) / "a")
    check_bad_use(pathlib.Path(temporary))
    check_caller()
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
