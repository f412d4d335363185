# SPDX-License-Identifier: MIT
"""On a terminal: keys that send signals, stopping, hanging up, and who reads from it."""

import signal

from faults_harness import processes, programs
from faults_harness.cases import case, require
from faults_harness.runs import HEARS, REFERENCE, SAYS, SUBJECT
from faults_harness.terminals import CTRL_BACKSLASH, CTRL_C, CTRL_D, CTRL_Z
from faults_harness.waiting import ended, wait_until

from .cleanup import require_clean

WARM = r"""
for i in 1 2 3 4 5; do
  sleep 0.001; x=$(sleep 0.001); sleep 0.001 | cat; ( sleep 0.001 )
  cat /dev/null; cut -c1 /dev/null; stty -a >/dev/null; tty >/dev/null; catches now
done
meet ready
"""
# What runs when the key is pressed; each program must have got to its call before.
MOMENTS = {
    "simple": ("sleep 5", "sleep"),
    "reading": ("cat", "cat"),
    "pipeline": ("sleep 5 | cat", "sleep cat"),
    "pipeline_end": ("cat | sleep 5", "cat sleep"),
    "long_pipeline": ("cut -c1 | cat | cat | cut -c1", "cut cat cat cut"),
    "substitution": ("x=$(sleep 5)", "sleep"),
    "substituted_pipeline": ("x=$(sleep 5 | cat)", "sleep cat"),
    "subshell": ("( sleep 5; echo in subshell )", "sleep"),
    "nested": ('( x=$(sleep 5); echo "in subshell $?" )', "sleep"),
    "function": ("f() { sleep 5; echo in f; }; f", "sleep"),
    "condition": ("if sleep 5; then echo yes; else echo no; fi", "sleep"),
    "catching": ("catches", "catches"),
    "catching_substituted": ('x=$(catches); echo "x=$x"', "catches"),
    "redirected": ("sleep 5 2>&1", "sleep"),
}
CALLS = {
    "sleep": processes.SLEEPING,
    "cat": processes.READING,
    "cut": processes.READING,
    "catches": {"34", "73"},  # pause, ppoll
}
SETTINGS = {
    "plain": "",
    "trap": "trap 'echo caught' INT QUIT\n",
    "trap_exit": "trap 'echo exiting; exit 3' INT QUIT\ntrap 'echo at exit' EXIT\n",
    "ignoring": "trap '' INT QUIT\n",
    "set_e": "set -e\n",
}
KEYS = {"ctrl_c": CTRL_C, "ctrl_backslash": CTRL_BACKSLASH}
SHOWN = {"ctrl_c": "^C", "ctrl_backslash": "^\\"}


def catching_program(world):
    place = world.fresh_directory("bin")
    programs.compile_program(place / "catches", "catches.c")
    return programs.on_path(place)


def running(run, names):
    """Waits until just these programs (as one text) run below the script and wait; they."""
    wanted = sorted(names.split())

    def all_there():
        found = [p for p in processes.living_below(run.pid) if p.comm in CALLS]
        waiting = all(processes.system_call(p.pid) in CALLS[p.comm] for p in found)
        return found if waiting and sorted(p.comm for p in found) == wanted else None

    found = wait_until(all_there, 10)
    require(found, f"{run.which}: {names} did not start\n{run.describe()}")
    return found


def find_one(run, name):
    return run.find(name, CALLS[name])


def press_during(world, key, setting, moment, environment):
    command, names = MOMENTS[moment]
    script = f"ulimit -c 0\n{WARM}{SETTINGS[setting]}{command}\n"
    script += 'echo "status $? ${PIPESTATUS[*]}"\nsleep 0.001; cut -c1 /dev/null; echo end\n'

    def steps(run):
        run.hear("ready")
        parked = {p.pid for p in run.expect_parked()}
        before = run.terminal.modes()
        run.go()
        found = running(run, names)
        if moment == "simple" and parked:
            require(found[0].pid in parked, f"{found[0]} was not parked before")
        run.terminal.type(KEYS[key])
        if setting == "ignoring":
            # The key flushes what was written before it.
            run.terminal.expect(SHOWN[key])
            if key != "ctrl_c" or "catching" not in moment:  # that program ends by itself
                end(found)
        require(run.terminal.modes() == before, "the terminal's modes have changed")

    world.same_steps(
        script, steps, f"{key} with {setting} during {moment}", 15,
        terminal=True, environment=environment,
    )


def end(found):
    """Nobody may have noticed the key: what runs is ended in another way, in order."""
    for p in found:
        processes.send(p.pid, signal.SIGTERM)
        wait_until(lambda pid=p.pid: not_alive(pid), 5)


def not_alive(pid):
    now = processes.look(pid)
    return now is None or now.state in "ZX"


def add_key(key, setting):
    @case(seconds=240, name=f"{key}_{setting}")
    def pressed(world):
        environment = catching_program(world)
        for moment, (_, names) in MOMENTS.items():
            if setting == "ignoring" and len(names.split()) > 1:
                continue  # in which order they end then is anybody's guess
            press_during(world, key, setting, moment, environment)


for _key in KEYS:
    for _setting in SETTINGS:
        add_key(_key, _setting)


@case()
def ctrl_c_while_parked(world):
    """Pressed while only the shell itself runs; what is launched later knows nothing of it."""
    script = WARM + r"""
trap 'echo caught' INT
meet press; read -r line; echo "line $line"
for i in 1 2 3; do sleep 0.001; echo "status $?"; x=$(sleep 0.001; echo $?); echo "$x"; done
sleep 0.001 | cat; echo "${PIPESTATUS[*]}"
"""

    def steps(run):
        run.meet("ready", lambda r: r.expect_parked())
        run.meet("press", lambda r: r.expect_parked())
        wait_until(lambda: processes.system_call(run.pid) in processes.READING, 5)
        for _ in range(2):
            run.terminal.type(CTRL_C)
            run.terminal.expect("caught")
        run.terminal.type(b"typed\n")

    world.same_steps(script, steps, terminal=True, environment=catching_program(world))


def lost_presses(world, which, environment):
    """How many of PRESSES at odd moments of a loop of short commands did not end the script."""
    script = WARM + "meet go\nwhile :; do cut -c1 /dev/null; x=$(cat /dev/null); done\n"
    lost = 0
    for i in range(PRESSES):
        with world.start(which, script, meets=True, terminal=True, environment=environment) as run:
            run.meet("ready", lambda r: r.expect_parked())
            run.meet("go")
            # Somewhere in the loop: there is nothing to wait for.
            wait_until(lambda: False, 0.003 + 0.00017 * i)
            run.terminal.type(CTRL_C)
            if not ended(run.pid, 0.5):
                lost += 1
                processes.send(run.pid, signal.SIGTERM)
            outcome = run.finish(5)
            require(outcome.status in (-signal.SIGINT, -signal.SIGTERM), f"ended with {outcome}")
            require_clean(run)
    return lost


PRESSES = 40


@case(seconds=240)
def ctrl_c_at_any_time(world):
    """A key that comes when a program has just ended is lost, in bash as well, but not oftener."""
    environment = catching_program(world)
    usual = lost_presses(world, REFERENCE, environment)
    lost = lost_presses(world, SUBJECT, environment)
    note = f"of {PRESSES} presses {lost} were lost, under bash {usual}"
    require(lost <= 2 * usual + 5, note)
    return note


@case()
def foreground_and_modes(world):
    """The shell's process group stays in the foreground, with everything it launches."""
    script = WARM + "sleep 5\nx=$(sleep 5)\nsleep 5 | cat\n( sleep 5 )\necho end\n"

    def steps(run):
        run.meet("ready", lambda r: r.expect_parked())
        before = run.terminal.modes()
        for _ in range(4):
            found = find_one(run, "sleep")
            require(run.terminal.foreground() == run.pid, "another group is in the foreground")
            odd = [str(p) for p in processes.descendants(run.pid)
                   if p.group != run.pid or p.session != run.pid]
            require(not odd, f"of another group or session: {', '.join(odd)}")
            require(run.terminal.modes() == before, "the terminal's modes have changed")
            processes.send(found.pid, signal.SIGTERM)
            wait_until(lambda p=found.pid: not_alive(p), 5)

    world.same_steps(script, steps, terminal=True, environment=catching_program(world))


@case()
def tools_see_the_terminal(world):
    """stty, tty, tput and the like, warm, work on the script's terminal."""
    script = WARM + r"""
for i in 1 2 3; do
  tty; stty size; x=$(stty -g); stty -echo -icanon; stty -a | grep -o -e '-icanon' -e '-echo '
  stty "$x"; stty -a | grep -o -e '-icanon' -e '-echo '
  stty size </dev/tty; ( stty size ); stty size | cat; tty </dev/null; echo "status $?"
  [ "$(stty -g)" = "$x" ] && echo same
done
meet resized
stty size; x=$(stty size </dev/tty); echo "$x"
ls --color=auto script; ls script | cat; ls --color=auto | head -n 1
"""

    def steps(run):
        run.meet("ready", lambda r: r.expect_parked())
        run.meet("resized", lambda r: r.terminal.resize(50, 132))

    outcome = world.same_steps(
        script, steps, terminal=True, environment=catching_program(world), stats=True
    )
    world.require_warm(outcome, "stty", 5)


@case()
def window_size_signal(world):
    script = WARM + "trap 'echo resized' WINCH\nsleep 5; echo \"status $?\"\nstty size\n"

    def steps(run):
        run.meet("ready", lambda r: r.expect_parked())
        found = find_one(run, "sleep")
        run.terminal.resize(40, 100)
        processes.send(found.pid, signal.SIGTERM)

    world.same_steps(script, steps, terminal=True, environment=catching_program(world))


@case()
def reading_lines(world):
    """Programs and the shell take turns in reading; nobody reads ahead for a parked one."""
    script = WARM + r"""
head -n 1 >/dev/null </dev/null
for i in 1 2; do read -r a; echo "shell $a"; cat; echo "cat $?"; x=$(cut -c1); echo "x=$x"; done
"""

    def steps(run):
        run.meet("ready", lambda r: r.expect_parked())
        for i in range(2):
            run.terminal.type(b"one %d\n" % i)
            run.terminal.expect("shell one")
            find_one(run, "cat")
            run.terminal.type(b"two\nthree\n" + CTRL_D)
            run.terminal.expect("cat 0")
            find_one(run, "cut")
            run.terminal.type(b"four\nfive\n" + CTRL_D)
            run.terminal.expect("x=f")

    world.same_steps(script, steps, terminal=True, environment=catching_program(world))


@case(seconds=120)
def hang_up(world):
    """The terminal goes away: everything ends, as it does under bash."""
    environment = catching_program(world)
    for command in ("sleep 5", "cat", "x=$(sleep 5)", "sleep 5 | cat", "read -r x", "catches"):
        ends = []
        for which in (REFERENCE, SUBJECT):
            with world.start(
                which, f"{WARM}{command}\necho end\n", meets=True, terminal=True,
                environment=environment,
            ) as run:
                run.meet("ready", lambda r: r.expect_parked())
                wait_until(lambda r=run: processes.system_call(r.pid) in {"0", "61", "260"}, 5)
                run.terminal.hang_up()
                ends.append(run.finish(5).status)
                require_clean(run, f"{which}, {command}: ")
        require(ends[0] == ends[1], f"{command}: ended with {ends[1]}, under bash {ends[0]}")


# -- below an interactive shell


def job(world, script, steps, what=""):
    """`steps(run)` types to an interactive bash that starts the script as its job, $RUN script."""

    def all_steps(run):
        run.terminal.expect("> ")
        steps(run)
        run.terminal.type(b"exit\n")

    world.same_steps(
        script, all_steps, what, 20, interactive=True, environment=catching_program(world)
    )


@case()
def stop_and_continue(world):
    """Ctrl-Z stops the script and what it runs; fg goes on where it was."""
    for command in ("sleep 0.7", "sleep 0.7 | cat", "x=$(sleep 0.7)", "( sleep 0.7 )"):

        def steps(run):
            run.terminal.type(b"$RUN script\n")
            run.meet("ready", lambda r: r.settle(0.5))
            found = find_one(run, "sleep")
            run.terminal.type(CTRL_Z)
            run.terminal.expect("Stopped")
            state = processes.look(found.pid).state
            require(state == "T", f"{found} runs on though it was stopped (state {state})")
            run.terminal.type(b"fg\n")
            run.terminal.expect("status 0")
            run.terminal.expect("end")
            run.terminal.expect("> ")

        script = f'{WARM}{command}\necho "status $?"\nsleep 0.001; cut -c1 /dev/null; echo end\n'
        job(world, script, steps, f"Ctrl-Z during {command}")


@case()
def stop_and_kill(world):
    def steps(run):
        run.terminal.type(b"$RUN script\n")
        run.meet("ready", lambda r: r.settle(0.5))
        script = find_one(run, "sleep").parent
        run.terminal.type(CTRL_Z)
        run.terminal.expect("Stopped")
        run.terminal.type(b"kill %%1; echo killed >&%d; read -r _ <&%d; fg\n" % (SAYS, HEARS))
        run.meet("killed", lambda r: wait_until(lambda: not_alive(script), 5))
        run.terminal.expect("Terminated")

    job(world, WARM + "sleep 5\necho end\n", steps)


@case()
def ctrl_c_of_a_job(world):
    def steps(run):
        run.terminal.type(b"$RUN script; echo \"it gave $?\"\n")
        run.meet("ready", lambda r: r.settle(0.5))
        find_one(run, "sleep")
        run.terminal.type(CTRL_C)
        run.terminal.expect("> ")
        run.terminal.type(b"echo \"it gave $?\"; stty size\n")
        run.terminal.expect("it gave 130")
        run.terminal.expect("24 80")

    job(world, WARM + "sleep 5\necho end\n", steps)


@case()
def background_job_reads(world):
    """In the background it is stopped when it wants to read from the terminal."""

    def steps(run):
        run.terminal.type(b"$RUN script &\n")
        run.meet("ready", lambda r: r.settle(0.5))
        stopped = wait_until(lambda: [p for p in processes.living_below(run.pid)
                                      if p.comm == "cat" and p.state == "T"], 10)
        require(stopped, f"cat was not stopped\n{run.describe()}")
        run.terminal.type(b"fg\n")
        wait_until(lambda: [p for p in processes.living_below(run.pid)
                            if p.comm == "cat" and p.state == "S"], 10)
        run.terminal.type(b"typed\n" + CTRL_D)
        run.terminal.expect("end 0")
        run.terminal.expect("> ")

    job(world, WARM + 'cat </dev/tty\necho "end $?"\n', steps)
