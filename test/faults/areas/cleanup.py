# SPDX-License-Identifier: MIT
"""After a script has ended, however it ended, nothing of it is left; while it runs, what is parked
holds nothing of the caller's and goes by no name of a tool's."""

import os
import pathlib
import select
import shutil
import signal
import socket

from faults_harness import processes, programs
from faults_harness.cases import case, need, require
from faults_harness.runs import REFERENCE, SUBJECT, give
from faults_harness.waiting import wait_until

from .limits import some_user

GONE_WITHIN_S = 2.0
WARM = "for i in 1 2 3 4 5; do seq $i | tail -n 1; cut -c1 script | head -n 1; x=$(expr $i + 1); done\n"

ENDS = {
    "falls_off": "",
    "exit_0": "exit 0\n",
    "exit_3": "exit 3\n",
    "exit_in_function": "f() { cut -c1 script | head -n 1; exit 4; }\nf\n",
    "exit_trap": "trap 'cut -c1 script | head -n 2; seq 3' EXIT\nfalse\nexit 6\n",
    "exit_in_trap": "trap 'seq 3; exit 9' USR1\nkill -USR1 $$\nseq 4\n",
    "syntax_error": "if then fi ((\nseq 1\n",
    "syntax_error_in_eval": "eval 'if ;'\nseq 1\nexit 5\n",
    "set_e": "set -e\nseq 2\nfalse\nseq 3\n",
    "set_e_pipeline": "set -e -o pipefail\nseq 2\ncut -c1 not-there | cat\nseq 3\n",
    "set_u": "set -u\nseq 2\necho $not_there\nseq 3\n",
    "function_with_traps": "set -eE\ntrap 'seq 9 9' ERR\ntrap 'seq 8 8' RETURN\n"
    "f() { local -; seq 1 1; false; seq 2 2; }\nf\nseq 3\n",
    "readonly_error": "readonly r=1\nseq 2\nr=2\nseq 3\n",
    "exec": "exec seq 5\n",
    "exec_missing": "exec not-there-at-all\nseq 1\n",
    "exec_missing_execfail": "shopt -s execfail\nexec not-there-at-all\nseq 1 2 | tail -n 1\n",
    "exec_bash": "exec bash -c 'seq 7; exit 7'\n",
    "kill_self": "kill -TERM $$\nseq 1\n",
    "kill_9_self": "kill -KILL $$\nseq 1\n",
    "kill_group": "kill -TERM 0\nseq 1\n",
    "abort_self": "ulimit -c 0; kill -ABRT $$\nseq 1\n",
    "background_left": "( exit 3 ) & cut -c1 script | head -n 1; exit 2\n",
    "subshell_exit": "( seq 2; exit 3 ); echo $?; ( exec seq 4 ); echo $?\n",
    "output_closed": "exec >&-\nseq 3\nexit 8\n",
}


def owned_by(user):
    """Names of what `user` owns where temporary things go."""
    found = set()
    for directory in ("/tmp", "/var/tmp", "/dev/shm", "/run"):
        for path in pathlib.Path(directory).glob("*") if os.path.isdir(directory) else ():
            try:
                if path.lstat().st_uid == user:
                    found.add(str(path))
            except OSError:
                pass
    return found


def members(run):
    """Who is left of a script that has ended: its session, or what it has orphaned."""
    processes.reap()
    return [
        p
        for p in processes.everybody()
        if p.state not in "ZX" and (p.session == run.pid or p.parent in (run.pid, os.getpid()))
        if p.pid != run.pid
    ]


def require_clean(run, what=""):
    wait_until(lambda: not members(run), GONE_WITHIN_S)
    left = ", ".join(map(str, members(run)))
    require(not left, f"{what}{GONE_WITHIN_S} s after the end there is still {left}")
    kept = list((run.place / "tmp").rglob("*"))
    require(not kept, f"{what}left in TMPDIR: {kept}")


def compare_end(world, script, **conditions):
    """Both end alike, and leave nothing."""
    outcomes = []
    for which in (REFERENCE, SUBJECT):
        with world.start(which, script, **conditions) as run:
            outcomes.append(run.finish())
            require_clean(run)
    world.require_same(*outcomes)
    return outcomes[1]


def add_end(name, end):
    @case(name=name)
    def ends(world):
        compare_end(world, WARM + end)
        compare_end(world, end)


for _name, _end in ENDS.items():
    add_end(_name, _end)


@case()
def warm(world):
    """The scripts of this area do park something."""
    world.require_warm(compare_end(world, WARM, stats=True), "seq", 2)


@case()
def nothing_in_temporary_directories(world):
    user = some_user()
    command = world.staged_products()
    for end in ("exit_3", "kill_9_self", "exec", "syntax_error"):
        compare_end(world, WARM + ENDS[end], user=user, command=command)
        left = owned_by(user)
        require(not left, f"after {end} the user owns {sorted(left)}")


@case()
def killed_while_parked(world):
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGABRT):
        for script in (WARM + "meet here\n", WARM + "( meet here )\n"):
            ends = []
            for which in (REFERENCE, SUBJECT):
                with world.start(which, script, meets=True) as run:
                    run.hear("here")
                    run.expect_parked()
                    processes.send(run.pid, number)
                    # A subshell that outlives its shell isn't what this test is about.
                    run.go()
                    ends.append(run.finish(5).status)
                    require_clean(run)
            require(ends[0] == ends[1], f"signal {number}: ended with {ends[1]}, bash {ends[0]}")


@case()
def killed_at_any_time(world):
    """SIGKILL at whatever moment: while parking, launching, in a subshell, in a pipeline."""
    script = "while :; do seq 3 | tail -n 1; x=$(cut -c1 script | head -n 1); expr 1 + 1; done\n"
    for i in range(25):
        with world.start(SUBJECT, script) as run:
            # From the first moments, in which nothing is parked yet, to the steady state.
            select.select([], [], [], 0.004 * i)
            processes.send(run.pid, signal.SIGKILL)
            run.finish(5)
            require_clean(run)


@case()
def exec_leaves_no_children(world):
    """The program that takes the script's place has no children that it didn't make."""
    script = WARM + 'exec bash -c \'echo "children: $(cat /proc/$$/task/$$/children | wc -w)"; ' \
        'ls /proc/$$/fd; wait; echo "waited $?"\'\n'
    # The substitution's own process is there in both.
    compare_end(world, script)
    compare_end(world, WARM + "exec ls -l /proc/self/fd | sed 's/.*-> //' | grep -c PLACE\n")


@case()
def exec_of_a_reaper(world):
    """It waits for all its children: there must be none to wait for."""
    program = "import os\ntry:\n  print(os.wait())\nexcept ChildProcessError:\n  print('none')\n"
    compare_end(world, WARM + f'exec python3 -c "{program}"\n')


# -- while it runs


def with_parked(world, look, script=WARM, **conditions):
    """`look(run)` while processes are parked."""
    with world.start(SUBJECT, script + "meet parked\nseq 1\n", meets=True, **conditions) as run:
        run.hear("parked")
        require(run.expect_parked() or not world.warm_check, "nothing was parked")
        look(run)
        run.go()
        return run.finish()


@case()
def descriptors(world):
    """Nothing but sockets, and none that the caller has."""
    ours, theirs = socket.socketpair()
    os.set_inheritable(theirs.fileno(), True)

    def look(run):
        caller = set(processes.descriptors(os.getpid()).values())
        script = processes.descriptors(run.pid)
        standard = {script.get(n) for n in (0, 1, 2, 7, 8)}
        for p in run.parked():
            held = processes.descriptors(p.pid)
            odd = {n: what for n, what in held.items() if not what.startswith("socket:")}
            require(not odd, f"{p} has {odd} open")
            shared = set(held.values()) & (standard | caller)
            require(not shared, f"{p} holds {shared} of the caller's")
            require(0 < len(held) <= 8, f"{p} has {len(held)} sockets: {held}")

    with_parked(world, look, stdin=theirs.fileno())
    ours.close()
    theirs.close()


@case()
def directory_and_names(world):
    def look(run):
        for p in run.parked():
            where = processes.working_directory(p.pid)
            require(where == "/", f"{p} stands in {where}")
            tool = os.path.basename(processes.executable(p.pid))
            words = " ".join(processes.cmdline(p.pid))
            require(tool not in (p.comm, ""), f"{p} is called like its tool")
            require(tool not in words, f"{p}, which holds {tool}, shows {words!r}")

    with_parked(world, look)


@case()
def tools_find_no_tool(world):
    """What scripts do to learn whether a tool runs. A name of our own: others run `cut`, too."""
    place = world.fresh_directory("bin")
    name = f"cut{os.getpid()}"[:15]
    shutil.copy2("/usr/bin/cut", place / name)
    script = f"for i in 1 2 3 4 5; do {name} -c1 script | head -n 1; {name} -c1 /dev/null; done\n"
    script += f"""meet parked
pgrep -x {name}; echo "pgrep $?"
pgrep {name}; echo "pgrep $?"
pgrep -f {place}; echo "pgrep -f $?"
pidof {name}; echo "pidof $?"
pkill -0 -x {name}; echo "pkill $?"
killall -0 {name} 2>/dev/null; echo "killall $?"
ps -C {name} -o pid=; echo "ps $?"
"""
    world.same_steps(
        script,
        lambda run: run.meet("parked", lambda r: r.expect_parked()),
        environment=programs.on_path(place),
    )


@case(known="tools that look at /proc/PID/exe find parked processes")
def tools_find_no_path(world):
    """The same asked by the program's file instead of its name."""
    place = world.fresh_directory("bin")
    name = f"cut{os.getpid()}"[:15]
    shutil.copy2("/usr/bin/cut", place / name)
    script = f"for i in 1 2 3 4 5; do {name} -c1 /dev/null; done\n"
    script += f"""meet parked
pidof {place}/{name}; echo "pidof $?"
killall -0 {place}/{name} 2>/dev/null; echo "killall $?"
"""
    world.same_steps(
        script,
        lambda run: run.meet("parked", lambda r: r.expect_parked()),
        environment=programs.on_path(place),
    )


@case()
def pipes_of_the_caller_are_not_held(world):
    """The reader sees the end as soon as the script closes its end."""
    script = WARM + "meet close\nexec 5>&-\nmeet closed\nseq 1\n"

    for place in ("before", "between"):
        reader, writer = os.pipe()
        with world.start(
            SUBJECT,
            script,
            meets=True,
            prepare=lambda w=writer: give(w, 5),
        ) as run:
            os.close(writer)
            run.meet("close", lambda r: r.expect_parked() if place == "between" else None)
            run.hear("closed")
            ended = bool(select.select([reader], [], [], 1)[0]) and os.read(reader, 1) == b""
            holders = [str(p) for p in processes.living_below(run.pid)]
            require(ended, f"the pipe is still held by one of the script, {', '.join(holders)}")
            run.go()
            run.finish()
        os.close(reader)


@case()
def standard_output_is_not_held(world):
    """`x=$(prewarm run …)` returns as soon as the script closes its output."""
    reader, writer = os.pipe()
    script = WARM + "exec >&- 2>&-\nmeet closed\n"
    with world.start(SUBJECT, script, meets=True, stdout=writer) as run:
        os.close(writer)
        run.hear("closed")
        text = b""
        while select.select([reader], [], [], 1)[0]:
            chunk = os.read(reader, 65536)
            if not chunk:
                break
            text += chunk
        else:
            require(False, f"standard output is still held\n{run.describe()}")
        run.go()
        run.finish()
    os.close(reader)


@case()
def pipes_within_the_script(world):
    """A FIFO, a process substitution and a coprocess see the end when their writers are gone."""
    script = WARM + r"""
mkfifo fifo
cat <fifo >from-fifo & reader=$!
exec 6>fifo
for i in 1 2 3 4; do seq $i >&6; cut -c1 script | head -n 1 >&6; done
exec 6>&-
wait $reader; echo "reader $?"
for i in 1 2 3; do seq $i; done > >(cat >substituted; echo done >>substituted)
until [[ -s substituted && $(tail -n 1 substituted) == done ]]; do :; done
coproc cat
for i in 1 2 3; do seq $i >&"${COPROC[1]}"; done
exec 5<&"${COPROC[0]}" {COPROC[1]}>&-
cat <&5
exec 5<&-
wait; echo "all $?"
"""
    compare_end(world, script)


@case()
def stopped_ones_go_away(world):
    """Stopped processes can't see that their owner is gone, but must not stay."""
    for number in (signal.SIGKILL, signal.SIGTERM):
        with world.start(SUBJECT, WARM + "meet here\n", meets=True) as run:
            run.hear("here")
            for p in run.expect_parked():
                processes.send(p.pid, signal.SIGSTOP)
            processes.send(run.pid, number)
            run.finish(10)
            require_clean(run)
    with world.start(SUBJECT, WARM + "meet here\n", meets=True) as run:
        run.hear("here")
        for p in run.expect_parked():
            processes.send(p.pid, signal.SIGSTOP)
        run.go()
        run.finish(10)
        require_clean(run)


@case()
def unmountable(world):
    """Parked processes keep no file system of the script's busy."""
    need(os.geteuid() == 0, "only root can mount")
    script = "mkdir m; mount -t tmpfs none m && cd m\n" + WARM.replace("script", "../script")
    script += "meet parked\ncd ..; umount m; echo $?\n"
    world.same_steps(
        script,
        lambda run: run.meet("parked", lambda r: r.expect_parked()),
        wrapper=("unshare", "-m"),
    )
