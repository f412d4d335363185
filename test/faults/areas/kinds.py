# SPDX-License-Identifier: MIT
"""Programs of all kinds behave as under bash, are run exactly once, and --stats-json says why cold.

That constructors run at parking as well must be nowhere to be seen: those that do or look at more
than all launches have in common make a program cold.
"""

import os
import pathlib
import shutil
import subprocess

from faults_harness import processes, programs
from faults_harness.cases import case, need, require
from faults_harness.runs import PATH, REFERENCE, SUBJECT
from faults_harness.waiting import wait_until

# Directly, brokered, in pipelines; before and after there was time to park it.
SCRIPT = r"""
calls() {
  for i in 1 2 3 4; do prog $1$i; echo "status $?"; done
  x=$(prog $1-sub); echo "$x, status $?"
  prog $1-pipe | cat; echo "${PIPESTATUS[*]}"
  prog $1-input <<<input; echo "status $?"
  ( prog $1-nested; echo "status $?"; prog $1-last )
  prog $1-file >out; echo "status $?"; cat out
}
calls early
meet parked
calls late
CHANGING=other prog changed
export CHANGING=exported; prog exported; unset CHANGING; prog unset
mkdir -p below; cd below; prog below; cd ..
meet end
"""


def compare(world, install, reasons=(), environment=None, **conditions):
    """`install(directory)` puts the program `prog` there. Returns the Outcome under prewarm.

    With `reasons`, a launch may be cold only for one of them (and one of them must be named).
    """
    outcomes = []
    for which in (REFERENCE, SUBJECT):
        place = world.fresh_directory("bin")
        install(place)
        with world.start(
            which,
            SCRIPT,
            meets=True,
            stats=True,
            environment={**programs.on_path(place), **(environment or {})},
            **conditions,
        ) as run:
            run.meet("parked", lambda r: r.settle(1))
            run.hear("end")
            run.go()
            outcome = run.finish(20)
        hide(outcome, place)
        notes = place / "notes"
        outcome.runs = len(notes.read_text().split()) if notes.exists() else None
        outcomes.append(outcome)
    world.require_same(*outcomes)
    reference, subject = outcomes
    require(
        reference.runs == subject.runs,
        f"the program was run {subject.runs} times, under bash {reference.runs} times",
    )
    require("late" in reference.stdout or ", status" in reference.stdout, f"no proof: {reference}")
    require_reason(world, subject, reasons)
    return subject


def hide(outcome, place):
    """The directory has another name in each run."""
    outcome.stdout = outcome.stdout.replace(str(place), "BIN")
    outcome.stderr = outcome.stderr.replace(str(place), "BIN")
    outcome.files = {n: text.replace(str(place), "BIN") for n, text in outcome.files.items()}


def require_reason(world, outcome, reasons):
    if not world.warm_check:
        return
    seen = outcome.of("prog")
    if not reasons:
        require(seen["direct"] + seen["brokered"] > 0, f"it was never launched warm: {seen}")
        return
    named = set(seen["reasons"]) & set(reasons)
    require(named, f"no reason among {', '.join(reasons)} was given: {seen}")
    require(
        seen["direct"] + seen["brokered"] == 0, f"it was launched warm in spite of {named}: {seen}"
    )


def compiled(source, *flags, compiler="cc"):
    def install(place):
        programs.compile_program(
            place / "prog", source, f'-DNOTES="{place}/notes"', *flags, compiler=compiler
        )

    return install


@case()
def plain(world):
    """The comparison itself: a program that nothing is wrong with is launched warm."""
    compare(world, compiled("plain.c"))


@case()
def set_user_id(world):
    need(os.geteuid() == 0, "only root can make a program of another user's")

    def install(place):
        compiled("plain.c")(place)
        (place / "notes").write_text("")
        (place / "notes").chmod(0o666)
        os.chown(place / "prog", 61000, 61000)
        (place / "prog").chmod(0o6755)

    compare(world, install, {"set_id"})


@case()
def set_user_id_for_a_user(world):
    need(os.geteuid() == 0, "only root can run as another user")

    def install(place):
        compiled("plain.c")(place)
        (place / "notes").write_text("")
        (place / "notes").chmod(0o666)
        (place / "prog").chmod(0o4755)

    compare(world, install, {"set_id"}, user=61001, command=world.staged_products())


@case()
def file_capability(world):
    need(shutil.which("setcap", path=PATH + ":/usr/sbin:/sbin"), "there is no setcap")

    def install(place):
        compiled("plain.c")(place)
        (place / "notes").write_text("")
        (place / "notes").chmod(0o666)
        command = ["setcap", "cap_net_raw+ep", str(place / "prog")]
        result = subprocess.run(
            command, env={"PATH": PATH + ":/usr/sbin:/sbin"}, capture_output=True, check=False
        )
        need(result.returncode == 0, "setcap doesn't work here")

    compare(world, install, {"set_id"})


@case()
def static_program(world):
    compare(world, compiled("plain.c", "-static"), {"static_program"})


@case()
def static_position_independent(world):
    compare(world, compiled("plain.c", "-static-pie"), {"static_program"})


@case()
def not_position_independent(world):
    compare(world, compiled("plain.c", "-no-pie"))


@case()
def lazily_bound(world):
    compare(world, compiled("plain.c", "-Wl,-z,lazy", "-Wl,--hash-style=sysv"))


@case()
def stripped(world):
    compare(world, compiled("plain.c", "-s"))


@case()
def many_threads_library(world):
    compare(world, compiled("plain.c", "-pthread", "-Wl,--no-as-needed", "-lpthread", "-lm", "-ldl"))


@case()
def bits_32(world):
    need(programs.can_compile(world.directory, "-m32"), "no 32-bit programs here")
    compare(world, compiled("plain.c", "-m32"), {"wrong_machine"})


@case()
def musl(world):
    need(programs.can_compile(world.directory, compiler="musl-gcc"), "there is no musl-gcc")
    compare(world, compiled("plain.c", compiler="musl-gcc"), {"foreign_libc"})
    compare(world, compiled("plain.c", "-static", compiler="musl-gcc"),
            {"static_program", "unusual_entry"})


@case()
def own_entry(world):
    compare(
        world,
        compiled("own_start.c", "-nostartfiles", "-Wl,--no-as-needed", "-fno-stack-protector"),
        {"unusual_entry"},
    )


@case()
def own_entry_static(world):
    """As a Go program: static, with a start of its own."""
    compare(
        world,
        compiled("own_start.c", "-nostdlib", "-static", "-fno-stack-protector"),
        {"static_program", "unusual_entry"},
    )


@case()
def own_libc_start(world):
    compare(
        world,
        compiled("own_libc_start.c", "-Wl,--export-dynamic", "-fno-stack-protector"),
        {"unusual_entry", "agent_failed"},
    )


@case()
def own_libc_start_hidden(world):
    """The same, where not even the linker's tables show it."""
    compare(
        world,
        compiled("own_libc_start.c", "-Wl,-Bsymbolic", "-fno-stack-protector", "-fvisibility=hidden"),
        {"unusual_entry", "agent_failed"},
    )


def script_with(text):
    def install(place):
        (place / "prog").write_text(text.replace("NOTES", str(place / "notes")))
        (place / "prog").chmod(0o755)

    return install


@case()
def scripts(world):
    body = 'echo run >>NOTES\necho "$1 $0"\nexit 4\n'
    for first in ("#!/bin/sh\n", "#!/bin/bash\n", "#!/usr/bin/env bash\n", ""):
        compare(world, script_with(first + body), {"not_elf"})
    compare(world, script_with("#!/nonexistent/interpreter\n"), {"not_elf"})


@case()
def damaged_files(world):
    def cut(size):
        def install(place):
            compiled("plain.c")(place)
            os.truncate(place / "prog", size)

        return install

    def without_loader(place):
        compiled("plain.c", "-Wl,--dynamic-linker=/nonexistent/ld.so")(place)

    def without_library(place):
        programs.compile_program(
            place / "libgone.so", "number_library.c", "-DNUMBER=1", "-shared", "-fPIC"
        )
        programs.compile_program(
            place / "prog", "number.c", "-DLIBRARY", str(place / "libgone.so"),
        )
        (place / "libgone.so").unlink()

    odd = {"not_elf", "unreadable", "unusual_entry", "static_program", "foreign_libc"}
    odd |= {"agent_failed", "died", "not_parked_yet", "not_a_file"}
    for install in (cut(0), cut(3), cut(64), cut(800), cut(5000), without_loader, without_library):
        compare(world, install, odd)


@case()
def one_by_one(world):
    """What isn't cloned is parked anew while the last one runs."""
    script = "for i in 1 2 3 4 5 6; do cut -c1 script; meet called; done\n"
    options = ("--isolation", "exec")
    kept = {"XDG_CACHE_HOME": str(world.fresh_directory("kept"))}
    for _ in range(2):  # the second run has a profile
        with world.start(
            SUBJECT, script, meets=True, stats=True, options=options, environment=kept
        ) as run:
            for call in range(6):
                run.hear("called")
                if 2 <= call < 5:
                    run.expect_parked()
                run.go()
            outcome = run.finish()
        world.require_warm(outcome, "cut", 3)


# -- what constructors do

ACTS = {"acts_early"}
LOOKS = {"looks_early"}


def constructor(kind):
    return compiled("constructor.c", f"-DKIND={kind}", "-pthread")


@case()
def constructor_thread(world):
    compare(world, constructor("THREAD"), {"has_threads"})


@case()
def constructor_descriptor(world):
    compare(world, constructor("DESCRIPTOR"), {"opened_descriptors"})


@case()
def constructor_high_descriptor(world):
    compare(world, constructor("HIGH_DESCRIPTOR"), {"opened_descriptors"})


@case()
def constructor_variable(world):
    for environment in ({"CHANGING": "first"}, {}):
        compare(world, constructor("VARIABLE"), environment=environment)


@case(seconds=120)
def constructor_variable_at_first_use(world):
    """What is parked was parked with another value, and was not used since."""
    place = world.fresh_directory("bin")
    constructor("VARIABLE")(place)
    # What it finds by looking at the script it parks when the script goes on.
    rest = "meet parked\n:\nmeet parked\nCHANGING=other prog changed\nexport CHANGING=exported\nprog exported\n"
    rest += "meet parked\nunset CHANGING\nprog unset\nmeet parked\nCHANGING=last prog last\n"

    def steps(run):
        for _ in range(4):
            run.meet("parked", lambda r: r.settle(0.5))

    # When it is parked depends on how often it was called.
    for calls in ("", "prog 1\n", "prog 1; prog 2\n", "prog 1; prog 2; prog 3\n"):
        for option in ("clone", "exec"):
            world.same_steps(
                calls + rest,
                steps,
                f"isolation {option}, after {calls!r}",
                environment={**programs.on_path(place), "CHANGING": "first"},
                options=("--isolation", option),
            )


@case()
def constructor_loader_variable(world):
    """LD_PRELOAD is the agent's way in: nobody else may see it."""
    compare(world, constructor("PRELOAD_VARIABLE"))


@case()
def constructor_environ(world):
    """Reads the environment without asking libc."""
    compare(world, constructor("ENVIRON"), LOOKS, environment={"CHANGING": "first"})


@case()
def constructor_envp(world):
    compare(world, constructor("ENVP"), LOOKS, environment={"CHANGING": "first"})


@case()
def constructor_arguments(world):
    compare(world, constructor("ARGUMENTS"), LOOKS)


@case()
def constructor_exits(world):
    compare(world, constructor("EXITS"), ACTS)
    compare(world, constructor("EXITS_WITH_STATUS"), ACTS)


@case()
def constructor_crashes(world):
    compare(world, constructor("CRASHES"), ACTS)


@case()
def constructor_raises(world):
    """A signal that a constructor sends itself counts, though parked programs have all blocked."""
    compare(world, constructor("RAISES"), ACTS)


@case()
def constructor_writes(world):
    compare(world, constructor("WRITES"), ACTS)


@case()
def constructor_prints(world):
    """Into stdio's buffer, which only fits the file that standard output was at that time."""
    compare(world, constructor("PRINTS"), ACTS)


# Everything else that a clone wouldn't have, or that would be the parked process's.
OTHER_KINDS = "HANDLER TIMER MASK SESSION TERMINAL CHILD LIMIT DIRECTORY STANDARD_INPUT"
# What a parked process has in its memory, or that only is no clone of another's, may be warm.
WARM_KINDS = "AT_EXIT BUFFERING PROCESS_ID"


def add_constructor(kind, reasons):
    @case(name=f"constructor_{kind.lower()}")
    def constructor_case(world):
        compare(world, constructor(kind), reasons)


for _kind in OTHER_KINDS.split():
    add_constructor(_kind, ACTS)
for _kind in WARM_KINDS.split():
    add_constructor(_kind, ())


@case()
def constructor_changes_files(world):
    """Only when it is launched, and once for each launch."""
    place = world.fresh_directory("bin")
    constructor("NOTES_AND_EXITS")(place)
    script = "for i in {1..50}; do prog; done; meet parked; for i in {1..50}; do prog; done; exit 0\n"
    with world.start(
        SUBJECT, script, meets=True, environment=programs.on_path(place)
    ) as run:
        run.meet("parked", lambda r: r.settle(0.5))
        run.finish(20)
    runs = len((place / "notes").read_text().split())
    require(runs == 100, f"in 100 calls its constructor ran {runs} times")


SLEEPER = r"""
for i in 1 2 3 4; do prog awake; x=$(prog awake); echo "$x"; cut -c1 script | head -n 1; done
meet parking
for i in 1 2 3 4; do prog awake; cut -c1 script | head -n 1; done
"""


@case()
def constructor_sleeps(world):
    """Parking never ends: the script doesn't wait for it, and nothing of it outlives the script."""
    place = world.fresh_directory("bin")
    constructor("SLEEPS")(place)
    environment = programs.on_path(place)
    outcome = world.same_steps(
        SLEEPER, lambda run: run.meet("parking", lambda r: r.settle(0.3)), environment=environment
    )
    require(outcome.seconds < 10, f"it took {outcome.seconds:.1f} s")
    for number in (15, 9):
        require_gone_after(world, place, environment, number)


def require_gone_after(world, place, environment, number):
    """Ends the script by a signal while the program hangs in its constructor."""
    with world.start(SUBJECT, SLEEPER, meets=True, environment=environment) as run:
        run.hear("parking")
        sleepers = [p for p in processes.living_below(run.pid)
                    if processes.executable(p.pid) == str(place / "prog")]
        processes.send(run.pid, number)
        run.finish(5)
        left = wait_until(lambda: not [p for p in sleepers if is_alive(p.pid)], 2)
        require(left, f"after signal {number} there is still {', '.join(map(str, sleepers))}")


def is_alive(pid):
    now = processes.look(pid)
    return now is not None and now.state not in "ZX"


@case()
def constructor_tried_once(world):
    """A program that can't be parked isn't tried again and again."""
    place = world.fresh_directory("bin")
    constructor("NOTES_AND_EXITS")(place)
    script = "for i in {1..100}; do prog; cut -c1 script | head -n 1; done >/dev/null; exit 0\n"
    outcome = world.run(SUBJECT, script, stats=True, environment=programs.on_path(place))
    world.require_warm(outcome, "cut", 50)
    world.require_warm(outcome, "head", 50)
    seen = outcome.of("prog")
    tries = 100 - seen["reasons"].get("acts_early", 0)
    require(tries <= 5, f"in 100 calls it was tried {tries} times to park it: {seen}")


@case()
def constructor_is_not_named(world):
    """While constructors run it can't be found by its name, either."""
    place = world.fresh_directory("bin")
    constructor("SLEEPS")(place)
    with world.start(
        SUBJECT, SLEEPER, meets=True, environment=programs.on_path(place)
    ) as run:
        run.hear("parking")
        run.settle(0.3)
        found = [p for p in processes.living_below(run.pid) if p.comm == "prog"]
        require(not found, f"pgrep -x prog finds {', '.join(map(str, found))}")
        run.go()
        run.finish(10)


# -- what is called bash

# Whichever of them runs it, and whatever else it sees of prewarm.
FOR_ANY_SHELL = r"""
for i in 1 2 3 4; do seq "$i" | tail -n 1; echo "$i" | cut -c1; done
echo "${LD_PRELOAD-no preload}, ${PREWARM_RUN-no settings}"
env | grep -e LD_PRELOAD -e PREWARM_RUN
exit 5
"""


def other_bash(world, install, what, **conditions):
    """`install(path)` puts the bash there that comes first on PATH. Returns the Outcome."""
    place = world.fresh_directory("bin")
    install(place / "bash")
    environment = {"PATH": f"{place}:{PATH}"}
    outcome = world.same(FOR_ANY_SHELL, what, environment=environment, **conditions)
    return outcome, environment


def require_said(world, outcome, environment, what):
    """With --stats there is a word about it, else there was none."""
    said = world.run(SUBJECT, FOR_ANY_SHELL, environment=environment, options=("--stats",))
    require("not warmed" in said.stderr, f"{what}: --stats doesn't say why: {said}")
    require(said.stdout == outcome.stdout, f"{what}: with --stats it gives {said}")


@case()
def bash_is_none(world):
    """Something else under that name: it runs the script as it would have."""

    def linked(path, shell="/bin/dash"):
        need(shutil.which(shell), f"there is no {shell}")
        path.symlink_to(shell)

    def wrapper(path):
        path.write_text('#!/bin/sh\necho "wrapped"\nexec /bin/bash "$@"\n')
        path.chmod(0o755)

    def program(*flags):
        return lambda path: programs.compile_program(path, "other_bash.c", *flags)

    others = [("dash", linked), ("a script", wrapper), ("a program", program())]
    if programs.can_compile(world.fresh_directory("probe"), "-static"):
        others.append(("a static program", program("-static")))
    for what, install in others:
        outcome, environment = other_bash(world, install, what)
        require_said(world, outcome, environment, what)


@case()
def bash_exports_too_little(world):
    """A bash without one of the functions that the loadable needs."""

    def renamed(path):
        image = pathlib.Path("/bin/bash").read_bytes()
        require(b"\0command_substitute\0" in image, "this bash exports nothing anyway")
        path.write_bytes(image.replace(b"\0command_substitute\0", b"\0command_substitutx\0"))
        path.chmod(0o755)

    outcome, environment = other_bash(world, renamed, "a bash that exports too little")
    require_said(world, outcome, environment, "a bash that exports too little")


@case()
def bash_of_another_user(world):
    """Where starting bash changes privileges nothing can be preloaded."""
    need(os.geteuid() == 0, "only root can make a program of another user's")

    def set_user_id(path):
        shutil.copy("/bin/bash", path)
        os.chown(path, 61000, 61000)
        path.chmod(0o4755)

    other_bash(
        world, set_user_id, "a set-user-id bash", user=61001, command=world.staged_products()
    )
