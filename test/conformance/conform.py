#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check whether a program speaks the coprocess protocols of docs/protocol.

conform.py worker [OPTIONS] -- COMMAND…   COMMAND is the tool of README.md, and is started as a
                                          worker
conform.py client [OPTIONS] -- COMMAND…   COMMAND is a client; {socket} in it is replaced by the
                                          path of a server, {directory} by that of the directory
                                          it is in; a tool's path and arguments follow
conform.py --list                         every check, and what it checks

Output is TAP. The exit status is 0 if every check that was run has passed.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
import traceback
from dataclasses import dataclass

import client_checks
import life_checks  # noqa: F401: registers its checks
import transport_checks  # noqa: F401: as well
import worker_checks
from checks import CHECKS, Check, Skip
from driver import WORKERS
from wire import Violation


@dataclass
class Result:
    check: Check
    state: str  # passed, failed, skipped
    text: str = ""


def run_check(check: Check, bench: worker_checks.Bench | client_checks.Server) -> Result:
    try:
        check.function(bench)
        return Result(check, "passed")
    except Skip as skip:
        return Result(check, "skipped", str(skip))
    except Violation as violation:
        said = bench.said().strip()
        return Result(check, "failed", str(violation) + ("\nIt says: " + said if said else ""))
    except Exception:  # what is under test did something that a check did not think of
        return Result(check, "failed", traceback.format_exc())
    finally:
        bench.close()


def chosen(options: argparse.Namespace) -> list[Check]:
    def wanted(check: Check) -> bool:
        return (check.role == options.role
                and (check.role == "client" or options.transport in check.transports)
                and (not options.only or any(fnmatch.fnmatch(check.name, p) for p in options.only)))
    return [check for check in CHECKS if wanted(check)]


def run_all(options: argparse.Namespace) -> list[Result]:
    results = []
    for check in chosen(options):
        if any(fnmatch.fnmatch(check.name, pattern) for pattern in options.skip):
            results.append(Result(check, "skipped", "by --skip"))
        elif options.role == "worker":
            worker_class = WORKERS[options.transport]
            bench = worker_checks.Bench(worker_class, options.command, options.limit)
            results.append(run_check(check, bench))
        else:
            server = client_checks.Server(options.command, options.limit, options.socket_name)
            results.append(run_check(check, server))
        if not options.json:
            show(len(results), results[-1])
    return results


def show(number: int, result: Result) -> None:
    word = "not ok" if result.state == "failed" else "ok"
    line = "%s %d - %s" % (word, number, result.check.name)
    if result.state == "skipped":
        line += " # SKIP " + result.text
    print(line)
    if result.state == "failed":
        for text in [result.check.says, *result.text.splitlines()]:
            print("# " + text)
    sys.stdout.flush()


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="list the checks")
    parser.add_argument("--json", action="store_true", help="results as JSON")
    parser.add_argument("--transport", choices=sorted(WORKERS), default="capers")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN",
                        help="only checks of such names")
    parser.add_argument("--skip", action="append", default=[], metavar="PATTERN",
                        help="not checks of such names")
    parser.add_argument("--limit", type=float, default=30, metavar="SECONDS",
                        help="who does nothing for so long hangs (default 30)")
    parser.add_argument("--socket-name", default="socket", metavar="NAME",
                        help="of the server's socket in its directory (default socket)")
    parser.add_argument("role", nargs="?", choices=("worker", "client"))
    parser.add_argument("command", nargs="*", metavar="COMMAND")
    head, dashes, command = arguments, [], []
    if "--" in arguments:
        place = arguments.index("--")
        head, dashes, command = arguments[:place], ["--"], arguments[place + 1:]
    options = parser.parse_args(head)
    # Checks start it in other directories.
    options.command = [os.path.abspath(word) if "/" in word and os.path.exists(word) else word
                       for word in command]
    if not options.list and (not options.role or not dashes or not command):
        parser.error("worker or client, and -- COMMAND")
    return options


def main() -> int:
    options = parse_arguments(sys.argv[1:])
    if options.list:
        for check in CHECKS:
            where = "client" if check.role == "client" else "/".join(check.transports)
            print("%-36s %-12s %s" % (check.name, where, check.says))
        return 0
    if not options.json:
        print("TAP version 13\n1..%d" % len(chosen(options)), flush=True)
    results = run_all(options)
    if options.json:
        json.dump([{"check": r.check.name, "state": r.state, "text": r.text, "says": r.check.says}
                   for r in results], sys.stdout, indent=1)
        print()
    if not results:
        print("no such check", file=sys.stderr)
        return 2
    return int(any(result.state == "failed" for result in results))


if __name__ == "__main__":
    # Bytes in names and arguments come and go as they are, whatever the locale.
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
