# SPDX-License-Identifier: MIT
"""Every launch happens exactly once while parked processes are killed at random."""

import collections
import os
import random
import select
import signal
import threading

from faults_harness import processes
from faults_harness.cases import case, require
from faults_harness.runs import SUBJECT

# Each number is written by exactly one external command, in every context that bash forks for.
# What a command answers is noted by builtins only, so that a lost launch can't hide.
LAUNCHES = r"""
n=$1 i=0
while (( i < n )); do
  (( i++ ))
  case $(( i % 10 )) in
    0) tee -a out <<<"$i" >/dev/null ;;
    1) seq $i $i >>out ;;
    2) seq $i $i | tee -a out >/dev/null ;;
    3) x=$(seq $i $i | tee -a out); [[ $x == "$i" ]] ;;
    4) ( seq $i $i >>out ) ;;
    5) expr $i + 0 >>out ;;
    6) dd status=none of=out oflag=append conv=notrunc <<<"$i" ;;
    7) ( echo $i | tee -a out | grep -qx $i ) ;;
    8) x=$(tee -a out <<<"$i"); [[ $x == "$i" ]] ;;
    9) echo $i | { read -r y; seq $y $y; } | tee -a out | cut -c1 >/dev/null ;;
  esac
  echo "$i ${PIPESTATUS[*]}" >>statuses
done
echo done
"""


class Killer:
    """Ends parked processes below a script, at random, from a thread of its own."""

    def __init__(self, script_pid, seed, mean_s, careful):
        self.random = random.Random(seed)
        self.script_pid = script_pid
        self.mean_s = mean_s
        self.careful = careful
        self.killed = 0
        self.zygotes = 0
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self):
        script = os.pidfd_open(self.script_pid)
        # The end of the script ends the waiting, and us.
        while not select.select([script], [], [], self.random.expovariate(1 / self.mean_s))[0]:
            found = processes.parked_below(self.script_pid)
            if found:
                self._kill(self.random.choice(found).pid)
        os.close(script)

    def _kill(self, pid):
        try:
            target = os.pidfd_open(pid)
        except OSError:
            return
        try:
            zygote = processes.is_zygote(pid)
            if not self.careful or self._is_parked_for_sure(pid, target):
                signal.pidfd_send_signal(target, signal.SIGKILL)
                self.killed += 1
                self.zygotes += zygote
            else:
                signal.pidfd_send_signal(target, signal.SIGCONT)
        except ProcessLookupError:
            pass
        finally:
            os.close(target)

    def _is_parked_for_sure(self, pid, target):
        """Stops it and looks: killed in the middle of a release it would have been a launch.

        Stopped in the call that waits for a request it hasn't taken one, though one may be
        waiting for it, which is just what this test is after.
        """
        signal.pidfd_send_signal(target, signal.SIGSTOP)
        stopped = processes.look(pid)
        if not stopped or stopped.comm != processes.PARKED:
            return False
        return processes.system_call(pid) in processes.RECEIVING | processes.READING

    def wait(self):
        self.thread.join()
        return f"{self.killed} parked processes were killed, {self.zygotes} of them zygotes"


def counts(outcome):
    return collections.Counter(outcome.files.get("out", "").split())


def wrong_counts(outcome, launches):
    seen = counts(outcome)
    expected = {str(i) for i in range(1, launches + 1)}
    return {n: seen[n] for n in sorted(expected | seen.keys(), key=int) if seen[n] != (n in expected)}


def launch_and_kill(world, seed, mean_s, careful, **conditions):
    """The Outcome, and what the killer did; of the first run in which it did enough."""
    for _ in range(5):
        outcome, killed, note = run_and_kill(world, seed, mean_s, careful, **conditions)
        if killed >= 2 or not world.warm_check:
            break
        seed += 1
    else:
        require(False, f"nothing was proved: only {note}")
    return outcome, f"seed {seed}: {note}; {outcome.warm()} warm launches, {outcome.seconds:.1f} s"


def run_and_kill(world, seed, mean_s, careful, **conditions):
    limit = 30 + world.launches * 0.1
    with world.start(
        SUBJECT, LAUNCHES, arguments=(str(world.launches),), stats=True, **conditions
    ) as run:
        killer = Killer(run.pid, seed, mean_s, careful)
        try:
            outcome = run.finish(limit)
        finally:
            if run.process.poll() is None:
                processes.send(run.pid, signal.SIGKILL)
            note = killer.wait()
    return outcome, killer.killed, note


def require_each_once(world, mean_s, **conditions):
    seed = random.randrange(1 << 30)
    outcome, note = launch_and_kill(world, seed, mean_s, careful=True, **conditions)
    wrong = wrong_counts(outcome, world.launches)
    require(not wrong, f"{note}\nnot there exactly once (number: times): {wrong}")
    odd = [
        line
        for line in outcome.files["statuses"].splitlines()
        if any(word != "0" for word in line.split()[1:])
    ]
    require(not odd, f"{note}\nlaunches with a status other than 0 (number, statuses): {odd}")
    require(not outcome.stderr, f"{note}\nstderr has {outcome.stderr[:2000]!r}")
    require((outcome.status, outcome.stdout) == (0, "done\n"), f"{note}\nended with {outcome}")
    return note


@case(seconds=900)
def killed_often(world):
    return require_each_once(world, mean_s=0.004)


@case(seconds=900)
def killed_now_and_then(world):
    return require_each_once(world, mean_s=0.015)


@case(seconds=900)
def killed_isolated(world):
    """Each parked process exec'd on its own."""
    return require_each_once(world, mean_s=0.01, options=("--isolation", "exec"))


@case(seconds=900)
def killed_blindly(world):
    """Also in the middle of a release: then the launch must be seen to have been killed."""
    seed = random.randrange(1 << 30)
    outcome, note = launch_and_kill(world, seed, 0.004, careful=False)
    require(outcome.stdout == "done\n" and outcome.status == 0, f"{note}\nended with {outcome}")
    seen = counts(outcome)
    twice = {n: times for n, times in seen.items() if times > 1}
    require(not twice, f"{note}\nlaunched more than once (number: times): {twice}")
    statuses = dict(
        (line.split()[0], line.split()[1:]) for line in outcome.files["statuses"].splitlines()
    )
    lost = [
        n
        for n in map(str, range(1, world.launches + 1))
        if not seen[n] and not set(statuses.get(n, ["0"])) - {"0"}
    ]
    require(not lost, f"{note}\nnever launched, and nobody was told: {lost}")
    return note


# With a CHLD trap, `wait`, `wait -n` and `jobs` nobody may notice that parked processes come and go.
WATCHFUL = r"""
seen=0
trap '(( seen++ ))' CHLD
for (( i = 0; i < 40; i++ )); do cut -c1 /dev/null; expr $i : x >/dev/null; done
trap - CHLD
(( seen == 80 )) && echo "every end was seen once" || echo "CHLD trap ran $seen times for 80 ends"
sleep 0.05 & first=$!
( exit 7 ) & second=$!
wait $second; echo "second: $?"
for (( i = 0; i < 10; i++ )); do cut -c1 /dev/null; done
wait $first; echo "first: $?"
( exit 3 ) & wait -n; echo "next: $?"
wait -n; echo "none: $?"
wait; echo "all: $?"
jobs
"""


@case(seconds=120)
def deaths_are_not_seen(world):
    outcome = world.run("bash", WATCHFUL)
    seed = random.randrange(1 << 30)
    with world.start(SUBJECT, WATCHFUL) as run:
        killer = Killer(run.pid, seed, 0.003, careful=True)
        try:
            subject = run.finish(60)
        finally:
            processes.send(run.pid, signal.SIGKILL)
            note = killer.wait()
    world.require_same(outcome, subject, f"seed {seed}, {note}")
    return note
