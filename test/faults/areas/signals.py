# SPDX-License-Identifier: MIT
"""Signals to the process group, to parked processes, and what a script inherits about signals."""

import os
import re
import signal

from faults_harness import processes, programs
from faults_harness.cases import case, require
from faults_harness.runs import HEARS
from faults_harness.waiting import ended, wait_until

from .cleanup import require_clean
from .terminal import running

WARM = r"""
for i in 1 2 3 4 5; do
  sleep 0.001; x=$(sleep 0.001); sleep 0.001 | cat; ( sleep 0.001 ); seq 2 | tail -n 1; expr $i + 1
done >/dev/null
"""
AFTER = r"""
for i in 1 2 3; do
  seq $i; echo "status $?"; x=$(seq $i | tail -n 1); echo "$x, ${PIPESTATUS[*]}"
  seq 3 | tail -n 1; echo "${PIPESTATUS[*]}"; ( expr $i + 1; sleep 0.001 ); echo "status $?"
done
"""
NAMES = ("TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "CHLD", "PIPE", "CONT", "WINCH", "URG")
# And the programs that must have started.
COMMANDS = {
    "sleep 5": "sleep",
    "x=$(sleep 5)": "sleep",
    "sleep 5 | cat": "sleep cat",
    "( sleep 5 )": "sleep",
}
ENDING = NAMES[:7] + ("PIPE",)
TRAPS = {
    "default": "",
    "trapped": "".join(f"trap 'echo got {n}' {n}\n" for n in NAMES if n != "CHLD"),
    "ignored": "".join(f"trap '' {n}\n" for n in NAMES if n != "CHLD"),
    "exit_trap": "trap 'echo leaving' EXIT\n",
}


def to_group(run, name):
    os.killpg(run.pid, getattr(signal, f"SIG{name}"))


def in_read(run):
    """Waits until the shell sits in the `read` of its meeting."""
    wait_until(lambda: processes.system_call(run.pid) in processes.READING, 5)


def while_parked(world, name, trap):
    def steps(run):
        run.hear("here")
        run.expect_parked()
        in_read(run)
        to_group(run, name)
        run.go()

    script = f"ulimit -c 0\n{TRAPS[trap]}{WARM}meet here\n{AFTER}"
    world.same_steps(script, steps, f"SIG{name}, {trap}, while parked")


def while_running(world, name, trap, command):
    def steps(run):
        run.hear("here")
        run.expect_parked()
        run.go()
        found = next(p for p in running(run, COMMANDS[command]) if p.comm == "sleep")
        to_group(run, name)
        if name in ENDING and trap != "ignored":
            require(
                wait_until(lambda: not_running(found.pid), 5),
                f"{run.which}: {found} did not end by SIG{name} to its group, during {command}",
            )
        else:
            processes.send(found.pid, signal.SIGKILL)

    script = f'ulimit -c 0\n{TRAPS[trap]}{WARM}meet here\n{command}\necho "status $?"\n{AFTER}'
    world.same_steps(script, steps, f"SIG{name}, {trap}, during {command}")


def not_running(pid):
    now = processes.look(pid)
    return now is None or now.state in "ZX"


def add_trap(trap):
    @case(seconds=240, name=f"group_while_parked_{trap}")
    def parked(world):
        for name in NAMES:
            while_parked(world, name, trap)

    @case(seconds=240, name=f"group_while_running_{trap}")
    def during(world):
        for name in NAMES:
            for command in COMMANDS:
                while_running(world, name, trap, command)


for _trap in TRAPS:
    add_trap(_trap)


# -- to parked processes


def disturbed(world, disturb, recover=None, seconds=20.0, script=WARM + "meet here\n" + AFTER * 4):
    """`disturb(parked processes)` while they are parked; the script must not notice."""

    def steps(run):
        run.hear("here")
        found = run.expect_parked()
        in_read(run)
        disturb(found)
        run.go()
        if recover:
            run.hear("there", 20)
            recover(found)
            run.go()

    return world.same_steps(script, steps, seconds=seconds, stats=True)


@case(seconds=120)
def sent_to_parked_ones(world):
    for name in (*NAMES, "ABRT", "SEGV", "BUS", "SYS", "TRAP", "TSTP", "TTIN", "XCPU", "XFSZ", "PROF"):
        number = getattr(signal, f"SIG{name}")
        disturbed(world, lambda found, n=number: [processes.send(p.pid, n) for p in found])


@case(seconds=120)
def real_time_signals_to_parked_ones(world):
    """They queue: many of them are pending at once."""

    def disturb(found):
        for p in found:
            for number in (signal.SIGRTMIN, signal.SIGRTMIN + 3, signal.SIGRTMAX):
                for _ in range(20):
                    processes.send(p.pid, number)

    disturbed(world, disturb)


@case()
def killed_all_at_once(world):
    disturbed(world, lambda found: [processes.send(p.pid, signal.SIGKILL) for p in found])


def stop(found):
    for p in found:
        processes.send(p.pid, signal.SIGSTOP)


def let_go(found):
    for p in found:
        processes.send(p.pid, signal.SIGCONT)


STOPPING = WARM + "meet here\n" + AFTER * 2 + "meet there\n" + AFTER * 2


@case()
def stopped_zygotes(world):
    """The script goes on, cold or otherwise."""
    disturbed(
        world,
        lambda found: stop([p for p in found if processes.is_zygote(p.pid)]),
        let_go,
        script=STOPPING,
    )


@case()
def stopped_zygotes_for_good(world):
    outcome = disturbed(world, lambda found: stop([p for p in found if processes.is_zygote(p.pid)]))
    require(outcome.seconds < 10, f"it took {outcome.seconds:.1f} s")


@case()
def stopped_clones(world):
    """A launch may hang on a stopped process, as on a stopped program, but only until it goes on."""

    def steps(run):
        run.hear("here")
        found = run.expect_parked()
        in_read(run)
        stop(found)
        run.go()
        wait_until(lambda: not_running(run.pid), 0.3)
        let_go(found)
        run.meet("there")

    world.same_steps(STOPPING, steps)


@case()
def stopped_and_killed(world):
    """A claim of a stopped one can't be taken any more."""

    def disturb(found):
        stop(found)
        for p in found:
            processes.send(p.pid, signal.SIGTERM)
            processes.send(p.pid, signal.SIGKILL)

    disturbed(world, disturb)


@case()
def group_stopped_and_continued(world):
    """As by a shell with job control, from outside."""
    script = WARM + "meet here\nsleep 0.3\necho \"status $?\"\n" + AFTER

    def steps(run):
        run.hear("here")
        run.expect_parked()
        os.killpg(run.pid, signal.SIGSTOP)
        wait_until(lambda: processes.look(run.pid).state == "T", 5)
        os.killpg(run.pid, signal.SIGCONT)
        run.go()
        found = run.find("sleep", processes.SLEEPING)
        os.killpg(run.pid, signal.SIGSTOP)
        wait_until(lambda: processes.look(found.pid).state == "T", 5)
        os.killpg(run.pid, signal.SIGCONT)

    world.same_steps(script, steps)


# -- between claim and start


def at_rest(run):
    """The shell waits for a child or for the end of its output, and for nothing of ours."""
    quiet = 0

    def rests():
        nonlocal quiet
        state = processes.look(run.pid)
        call = processes.system_call(run.pid, arguments=1)
        resting = state and state.state == "S" and call != ["0", hex(HEARS)]
        quiet = quiet + 1 if resting else 0
        return quiet == 10

    wait_until(rests, 5)


def interrupted_at_start(world, command, name, trap=""):
    """A signal to the group when the program was launched but has not yet begun.

    Under bash a forked child has the program's dispositions by then, and ends. A parked process is
    stopped before it is claimed, so that the signal surely comes in between.
    """

    def steps(run):
        run.hear("here")
        stopped = [p for p in run.expect_parked() if not processes.is_zygote(p.pid)]
        in_read(run)
        stop(stopped)
        run.go()
        if stopped:
            at_rest(run)
        else:
            run.find("sleep", processes.SLEEPING)
        to_group(run, name)
        let_go(stopped)
        if not ended(run.pid, 3):
            still = [str(p) for p in processes.living_below(run.pid) if p.comm == "sleep"]
            require(not still, f"{command}: SIG{name} did not reach {', '.join(still)}")
        run.process.wait()
        require_clean(run, f"{command}: ")

    script = f'{trap}{WARM}meet here\n{command}\necho "status $?"\necho end\n'
    world.same_steps(script, steps, f"{command}, SIG{name}")


def signalled_before_start(world, command, name):
    """A signal to the group that the shell survives, and then launches: the program is not hit.

    Parked processes are stopped, so that none of them does anything about it before its launch.
    """

    def steps(run):
        run.hear("here")
        stopped = [p for p in run.expect_parked() if not processes.is_zygote(p.pid)]
        in_read(run)
        stop(stopped)
        to_group(run, name)
        run.go()
        if stopped:
            at_rest(run)
        let_go(stopped)

    trap = "" if name == "QUIT" else f"trap 'echo got it' {name}\n"  # which bash ignores itself
    script = f'{trap}{WARM}meet here\n{command}\necho "status $?"\n{AFTER}'
    world.same_steps(script, steps, f"SIG{name}, {command}")


STARTS = {
    "simple": "sleep 5",
    "pipeline": "sleep 5 | cat",
    "substitution": "x=$(sleep 5)",
    "subshell": "( sleep 5; echo inside )",
}


def add_start(word, command):
    @case(name=f"interrupted_at_start_{word}")
    def interrupted(world):
        interrupted_at_start(world, command, "INT")

    @case(name=f"terminated_at_start_{word}")
    def terminated(world):
        interrupted_at_start(world, command, "TERM", "trap 'echo got it' TERM\n")

    @case(name=f"signalled_before_start_{word}")
    def signalled(world):
        for name in ("INT", "TERM", "QUIT", "USR1", "TSTP"):
            signalled_before_start(world, command.replace("sleep 5", "sleep 0.1"), name)


for _word, _command in STARTS.items():
    add_start(_word, _command)


@case()
def sent_to_the_pid(world):
    """`$!` and the pids of children reach the program, whoever launched it."""
    script = WARM + r"""
kill_child() { until read -r -a c </proc/$BASHPID/task/$BASHPID/children && (( ${#c[@]} )); do :; done; }
( sleep 5 & kill -TERM $!; wait $!; echo "background $?" )
sleep 5 & kill -USR1 $!; wait $!; echo "background $?"
timeout -s INT 0.05 sleep 5; echo "timeout $?"
x=$(timeout 0.05 sleep 5; echo $?); echo "substituted $x"
timeout 0.05 cat | sleep 0.001; echo "${PIPESTATUS[*]}"
( timeout 0.05 sleep 5 ); echo "nested $?"
"""
    world.same(script)


@case(known="a crash message of a command in a subshell shows an invented pid")
def pids_that_are_told(world):
    """bash's message about a program that was ended names the program's own pid."""
    place = world.fresh_directory("bin")
    programs.compile_program(place / "crashes", "crashes.c")
    script = "ulimit -c 0\nfor i in {1..5}; do crashes; ( crashes; : ); x=$(crashes); crashes | cat; done\n"
    script += 'meet parked\ncrashes 15; ( crashes 11; : ); ( crashes 6; : )\n'
    script += 'x=$(crashes 11; echo "status $?"); echo "$x"; cat /dev/null | crashes 11\n'
    outcome = world.same_steps(
        script,
        lambda run: run.meet("parked", lambda r: r.expect_parked()),
        environment=programs.on_path(place),
    )
    own = {word for line in outcome.raw_stdout.splitlines() if line.startswith("pid ")
           for word in line.split()[1:]}
    told = set(re.findall(r"^(?:script: line \d+:)? +(\d+) (?!.*\bDone\b)", outcome.raw_stderr, re.M))
    require(told <= own, f"bash names {sorted(told - own)}, the programs were {sorted(own)}")


# -- what is inherited


def inherit(ignored=(), blocked=()):
    def prepare():
        for name in ignored:
            signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [getattr(signal, f"SIG{n}") for n in blocked])

    return prepare


SHOW = r"""
for i in 1 2 3; do
  grep -E '^Sig(Blk|Ign|Cgt|Pnd)|^ShdPnd' /proc/self/status
  x=$(grep -E '^Sig(Blk|Ign)' /proc/self/status); echo "$x"
  cut -c1- /proc/self/status | grep -E '^Sig(Blk|Ign)'
  ( grep -E '^Sig(Blk|Ign)' /proc/self/status )
done
seq 100000 | head -n 1; echo "${PIPESTATUS[*]}"
x=$(seq 100000 | head -n 1); echo "$x"
( exit 3 ) & wait $!; echo "waited $?"
kill -USR1 $$; kill -PIPE $$; kill -TERM $$; echo "alive"
"""


@case(seconds=120)
def inherited(world):
    for ignored in ((), ("CHLD",), ("PIPE",), ("INT", "QUIT"), ("HUP",), ("TERM", "USR1"), NAMES):
        world.same(WARM + SHOW, f"ignored: {ignored}", prepare=inherit(ignored))
    for blocked in (("CHLD",), ("PIPE",), ("INT",), ("TERM", "USR1"), ("HUP", "ALRM"), NAMES):
        world.same(WARM + SHOW, f"blocked: {blocked}", prepare=inherit((), blocked))


@case()
def changed_in_script(world):
    script = WARM
    for change in ("trap '' INT", "trap - INT", "trap 'echo x' USR1 TERM", "trap '' PIPE CHLD",
                   "trap 'echo chld' CHLD", "trap - CHLD", "trap '' 34 50"):
        script += f"{change}\n" + SHOW.replace("kill -", ": ")
    world.same(script)


@case()
def catching_program_in_group(world):
    """A program with a handler of its own is reached, and its answer decides."""
    place = world.fresh_directory("bin")
    programs.compile_program(place / "catches", "catches.c")
    script = "for i in 1 2 3 4 5; do catches now; x=$(catches now); done\n"
    script += f'meet here\ncatches; echo "status $?"\nx=$(catches); echo "$x $?"\n{AFTER}'

    def steps(run):
        run.meet("here", lambda r: r.expect_parked())
        for _ in range(2):
            found = run.find("catches", {"34", "73"})
            to_group(run, "INT")
            wait_until(lambda p=found.pid: not_running(p), 5)

    world.same_steps(script, steps, environment=programs.on_path(place))
