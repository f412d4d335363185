#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# quick_test.py PREWARM-BENCH: every case runs in miniature and gets into both reports, and bad use and
# failures are reported as they should be. No times are looked at.
import html.parser
import json
import pathlib
import subprocess
import sys
import tempfile

bench = sys.argv[1]
problems = []


def run(*args):
    return subprocess.run([bench, *args], capture_output=True, text=True, timeout=280)


def check(condition, message):
    if not condition:
        problems.append(message)


class Page(html.parser.HTMLParser):
    """Counts plots; complains about an address or a tag that isn't closed."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.plots = 0

    def handle_starttag(self, tag, attrs):
        self.plots += tag == "svg"
        check(not any(name in ("src", "href") for name, _ in attrs), f"the page needs a file: {attrs}")
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        check(self.open and self.open.pop() == tag, f"the page's <{tag}> is closed where it wasn't opened")


def check_case(case, name):
    check("error" not in case, f"{name} failed: {case.get('error')}")
    built = name != "lambda" or pathlib.Path(bench).parent.with_name("examples").exists()
    check("skipped" not in case or not built, f"{name} was skipped: {case.get('skipped')}")
    for metric in case.get("metrics", []):
        for variant in metric["variants"]:
            samples = variant["samples_us"]
            check(len(samples) > 0 and all(s > 0 for s in samples), f"{name}, {variant}: no times")
            check(variant["minimum_us"] <= variant["median_us"] <= variant["p90_us"], f"{name}: order")


def check_reports(directory):
    json_path, html_path = directory / "report.json", directory / "report.html"
    done = run("--quick", "--json", str(json_path), "--html", str(html_path))
    check(done.returncode == 0, f"--quick: status {done.returncode}: {done.stderr}")
    listed = [line.split()[0] for line in run("--list").stdout.splitlines() if not line.startswith(" ")]
    cases = json.loads(json_path.read_text())["cases"]
    check(listed == [case["name"] for case in cases], f"not all cases ran: {listed}")
    for case in cases:
        check_case(case, case["name"])
        check(f"{case['name']}: " in done.stdout, f"{case['name']} has no table")
    page = Page()
    page.feed(html_path.read_text())
    plots = sum(len(case.get("metrics", [])) for case in cases)
    check(page.plots == plots, f"{page.plots} plots instead of {plots}")


def check_failures(directory):
    broken = directory / "broken"
    broken.write_text("#!/bin/sh\necho no such luck >&2\nexit 3\n")
    broken.chmod(0o755)
    done = run("--quick", "--prewarm", str(broken), "--json", "-", "true", "empty")
    check(done.returncode == 1, f"a broken command: status {done.returncode}")
    check("case true: measure prewarm: " in done.stderr and "no such luck" in done.stderr,
          f"a broken command: {done.stderr}")
    check([("error" in case) for case in json.loads(done.stdout)["cases"]] == [True, True],
          "a broken command: JSON without errors")
    check(run("--quick", "no-such-case").returncode == 2, "an unknown case: not status 2")
    check(run("--prewarm", str(directory), "true").returncode == 2, "a directory: not status 2")
    check(run("--prewarm", str(directory / "none"), "true").returncode == 2, "no command: not status 2")
    check(run("--quick", "--json", str(directory / "none" / "x"), "true").returncode == 1, "no file: not status 1")


with tempfile.TemporaryDirectory() as temporary:
    check_reports(pathlib.Path(temporary))
    check_failures(pathlib.Path(temporary))
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
