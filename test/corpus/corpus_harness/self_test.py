# SPDX-License-Identifier: MIT
"""Prove that compare.py can fail: commands with one fault each must be noticed.

A stand-in is a shell script that takes the place of `prewarm run`: it drops the
word run, the options, and then runs bash, but for the fault that it stands for.
"""

import os
import pathlib
import tempfile

from . import script, snapshot, suite

_SAMPLE = b"""# SPDX-License-Identifier: MIT
echo to-stdout
echo to-stderr >&2
echo content > file
mkdir directory
exit 3
"""

# What every stand-in begins with: `run` and prewarm's own options are dropped.
_PROLOGUE = """#!/bin/bash
OPTIONS=$*
shift
while :; do
  case ${1-} in
    --max-warm | --isolation) shift 2 ;;
    --*) shift ;;
    *) break ;;
  esac
done
"""

# Name, the rest of the stand-in, and the kind of difference that must be found ("" for
# none). One of the processes left behind has neither the session nor the pipes by which
# it would be easy to find.
_STAND_INS = [
    ("faithful", 'exec bash "$@"', ""),
    ("stdout-more", 'bash "$@"; s=$?; echo x; exit $s', "stdout"),
    ("stdout-byte", 'set -o pipefail; bash "$@" | tr s S', "stdout"),
    ("stdout-lost-end", 'bash "$@" >o; s=$?; head -c -1 <o; rm o; exit $s', "stdout"),
    ("stderr", 'bash "$@"; s=$?; echo x >&2; exit $s', "stderr"),
    ("status", 'bash "$@"; exit 4', "status"),
    ("signal", 'bash "$@"; kill -9 $$', "status"),
    ("file-content", 'bash "$@"; s=$?; echo changed >file; exit $s', "files"),
    ("file-mode", 'bash "$@"; s=$?; chmod 600 file; exit $s', "files"),
    ("directory-mode", 'bash "$@"; s=$?; chmod 700 directory; exit $s', "files"),
    ("file-missing", 'bash "$@"; s=$?; rm file; exit $s', "files"),
    ("file-extra", 'bash "$@"; s=$?; : >.extra; exit $s', "files"),
    ("file-hard-link", 'bash "$@"; s=$?; ln file "$TMPDIR/l"; exit $s', "files"),
    ("temporary", 'bash "$@"; s=$?; : >"$TMPDIR/x"; exit $s', "temporary"),
    ("process", 'bash "$@"; s=$?; sleep 60 >&- 2>&- & exit $s', "processes"),
    ("process-own-session", 'bash "$@"; s=$?; setsid -f sleep 60 >&- 2>&-; exit $s', "processes"),
    ("open-pipe", 'bash "$@"; s=$?; setsid -f sleep 60 >&-; exit $s', "pipes"),
    ("hang", 'bash "$@"; sleep 60', "timeout"),
    ("shared-memory", 'bash "$@"; s=$?; : >/dev/shm/corpus-self-test-$$; exit $s', "shared-memory"),
    (
        "second-run",
        'n=$XDG_CACHE_HOME/n; [ ! -e "$n" ] || exit 9; : >"$n"; exec bash "$@"',
        "status",
    ),
    ("only-cold", 'case $OPTIONS in *max-warm*) exit 9 ;; esac; exec bash "$@"', "status"),
]

_VARIANT_OF = {"second-run": "learned", "only-cold": "max-warm-0"}


def _write_stand_in(directory, name, body):
    path = pathlib.Path(directory, name)
    path.write_text(f"{_PROLOGUE}{body}\n")
    path.chmod(0o755)
    return path


def _job(base, sample, stand_in, variant):
    command = [str(stand_in), "run"]
    directory = tempfile.mkdtemp(dir=base)
    job = suite.Job(sample, "file", [variant], command, directory, 3.0, False)
    job.grace_s = 0.5  # what is left behind in these is left for good
    return job


def _judge(name, expected, result):
    kinds = {d.kind for d in result.differences if d.kind != "note"}
    # One fault may show in two ways (a pipe held open is held by a process),
    # but the one it stands for must be among them, and none where none is.
    noticed = expected in kinds if expected else not kinds
    shown = ", ".join(sorted(kinds)) or "no difference"
    print(f"{'ok' if noticed else 'NOT NOTICED'}: {name}: {shown}")
    return noticed


def _forget_shared_memory(names):
    for name in names:
        if name.startswith("corpus-self-test-"):
            os.unlink(os.path.join("/dev/shm", name))


def run():
    """Run every stand-in; True if each was judged rightly."""
    with tempfile.TemporaryDirectory(prefix="corpus-self-test-") as base:
        path = pathlib.Path(base, "sample.sh")
        path.write_bytes(_SAMPLE)
        sample = script.load(path)
        right = 0
        for name, body, expected in _STAND_INS:
            stand_in = _write_stand_in(base, name, body)
            variant = _VARIANT_OF.get(name, "default")
            jobs = [_job(base, sample, stand_in, variant)]
            results = suite.run_jobs(jobs, 1, lambda result: None)
            left = snapshot.shared_memory_abandoned()
            suite.blame_for_shared_memory(results, left)
            _forget_shared_memory(left)
            right += _judge(name, expected, results[0])
    wrong = len(_STAND_INS) - right
    print(f"{right} passed, {wrong} failed")
    return wrong == 0
