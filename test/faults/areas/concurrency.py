# SPDX-License-Identifier: MIT
"""Many at once: scripts that share a cache, subshells that share a pool, one that outlives it."""

import collections
import contextlib
import signal

from faults_harness import processes
from faults_harness.cases import case, require
from faults_harness.runs import REFERENCE, SUBJECT
from faults_harness.waiting import ended, wait_until

from .cleanup import require_clean

WORK = r"""
for (( i = 0; i < 15; i++ )); do
  seq $i | tail -n 1; x=$(expr $i + 1); echo "x=$x"; ( cut -c1 script | head -n 2 | tail -n 1 )
  seq 3 | tr '\n' ' ' | cut -c1-3; grep -c seq script
done
exit 3
"""


@case(seconds=120)
def scripts_sharing_a_cache(world):
    environment = {"XDG_CACHE_HOME": str(world.fresh_directory("cache"))}
    reference = world.run(REFERENCE, WORK, environment=environment)
    for _ in range(2):
        with contextlib.ExitStack() as stack:
            runs = [
                stack.enter_context(world.start(SUBJECT, WORK, environment=environment))
                for _ in range(8)
            ]
            for run in runs:
                world.require_same(reference, run.finish(60))
            for run in runs:
                require_clean(run)


@case(seconds=120)
def the_same_script_eight_times(world):
    """One file, so that they share a profile as well; started by a script, warm itself."""
    script = r"""
for i in 1 2 3 4 5 6 7 8; do $RUNNER ./inner $i >out-$i 2>err-$i & done
wait
for i in 1 2 3 4 5 6 7 8; do wait; done
cat err-*
"""

    def populate(work):
        (work / "inner").write_text(WORK)
        # inner looks at a file of this name
        (work / "script").write_text((work / "script").read_text())

    reference = world.run(REFERENCE, script, populate=populate, environment={"RUNNER": "bash"})
    for _ in range(2):
        subject = world.run(
            REFERENCE, script, populate=populate, environment={"RUNNER": f"{world.prewarm} run"}
        )
        world.require_same(reference, subject)


SUBSHELLS = r"""
for i in 1 2 3 4; do seq $i | tail -n 1; x=$(expr $i + 1); cut -c1 script | head -n 1; done
for (( k = 1; k <= 20; k++ )); do
  (
    for (( i = 1; i <= 6; i++ )); do
      seq $k.$i $k.$i >>numbers
      x=$(expr $i + 1); [[ $x == $(( i + 1 )) ]] || echo "expr gave $x"
      echo $k.$i | tee -a teed | grep -qx $k.$i || echo "grep failed"
    done
    exit $k
  ) &
  pids[k]=$!
done
for k in ${!pids[@]}; do wait ${pids[k]}; echo "$k: $?"; done
sort -V numbers | uniq -c | sort -V | sha1sum; sort -V teed | uniq -c | sha1sum
rm numbers teed
"""


@case(seconds=120)
def twenty_subshells(world):
    for _ in range(3):
        world.same(SUBSHELLS, stats=True)


@case(seconds=120)
def twenty_subshells_and_a_busy_shell(world):
    """The shell launches from the same pool meanwhile."""
    busy = "for k in ${!pids[@]}; do"
    script = SUBSHELLS.replace(
        busy, "for (( i = 0; i < 60; i++ )); do seq $i $i; expr $i + 1; done\n" + busy
    )
    world.same(script)


@case()
def nested_subshells(world):
    script = r"""
for i in 1 2 3 4; do seq $i | tail -n 1; expr $i + 1; done
f() { (( $1 == 0 )) && { seq 2; return; }; ( expr $1 + 1; x=$(f $(( $1 - 1 ))); echo "$1: $x" ); }
f 6
( ( ( seq 3 | ( cut -c1 | ( tail -n 1 ) ) ) ) )
"""
    world.same(script)


@case()
def subshell_outlives_the_shell(world):
    """In the background, the shell has ended: what it launches then still runs and answers."""
    script = r"""
for i in 1 2 3 4 5; do seq $i | tail -n 1; x=$(expr $i + 1); sleep 0.001; done
( meet outlived
  for i in 1 2 3; do seq $i $i >>out; x=$(expr $i + 1); echo "$x, status $?" >>out; done
  seq 3 | tail -n 1 >>out; sleep 0.01; echo "sleep $?" >>out
  ( seq 7 7; exit 4 ) >>out; echo "nested $?" >>out; ) &
exit 5
"""
    outlived(world, script, None)


@case()
def subshell_of_a_killed_shell(world):
    """In the foreground, the shell is killed: the subshell and its program go on."""
    script = r"""
for i in 1 2 3 4 5; do seq $i | tail -n 1; x=$(expr $i + 1); sleep 0.001; ( sleep 0.001 ); done
meet parked
( sleep 2.5; echo "sleep $?" >>out; seq 4 4 >>out; echo "seq $?" >>out; meet outlived )
"""
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP):
        outlived(world, script, number)


@case()
def pipeline_of_a_killed_shell(world):
    script = r"""
for i in 1 2 3 4 5; do seq $i | tail -n 1; sleep 0.001; sleep 0.001 | cat; ( sleep 0.001 ); done
meet parked
{ sleep 2.5; echo "sleep $?"; seq 4 4; meet outlived; } | { tee -a out; }
"""
    for number in (signal.SIGKILL, signal.SIGTERM):
        outlived(world, script, number)


def outlived(world, script, number):
    """The script ends (killed by `number` while it sleeps); what is left of it must go on."""
    outcomes = []
    for which in (REFERENCE, SUBJECT):
        with world.start(which, script, meets=True) as run:
            if number is not None:
                run.meet("parked", lambda r: r.expect_parked())
                run.find("sleep", processes.SLEEPING)
                processes.send(run.pid, number)
                require(ended(run.pid, 5), f"signal {number} did not end the script")
            status = finish_rest(run)
            outcomes.append(run.finish())
            outcomes[-1].status = status
            require_clean(run)
    world.require_same(*outcomes, f"ended by {number or 'exit'}")


def finish_rest(run):
    """Meets what outlives the script."""
    heard = b""

    def arrived():
        nonlocal heard
        heard += run.said.read(4096) or b""
        return heard.endswith(b"outlived\n")

    met = wait_until(arrived, 6)
    require(met, f"{run.which}: what outlives the script did not get to its meeting: "
            f"{run.place / 'work'} has {out_of(run)!r}")
    require(ended(run.pid, 5), "the script has not ended")
    status = run.process.wait()
    run.go()
    rest = wait_until(lambda: not left(run), 5)
    require(rest, f"{run.which}: still there: {', '.join(map(str, left(run)))}")
    return status


def out_of(run):
    out = run.work / "out"
    return out.read_text() if out.exists() else ""


def left(run):
    processes.reap()
    return [p for p in processes.everybody() if p.session == run.pid and p.state not in "ZX"]


@case()
def output_of_many(world):
    """Lines of concurrent programs arrive whole and complete."""
    script = r"""
for i in 1 2 3; do seq $i | tail -n 1 >/dev/null; done
for k in {1..12}; do { for i in {1..10}; do seq $k $k; done; } & done; wait
"""
    counts = []
    for which in (REFERENCE, SUBJECT):
        outcome = world.run(which, script)
        counts.append(collections.Counter(outcome.stdout.split()))
    require(counts[0] == counts[1], f"bash {counts[0]}, prewarm {counts[1]}")
