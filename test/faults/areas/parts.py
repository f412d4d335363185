# SPDX-License-Identifier: MIT
"""Missing, damaged or wrong parts of the product: the script runs cold, and nobody says a word."""

import pathlib
import re
import shutil
import subprocess

from faults_harness import programs
from faults_harness.cases import case, need, require
from faults_harness.runs import REFERENCE, SUBJECT

from .limits import WORK, some_user

SOURCE = pathlib.Path(__file__).resolve().parents[3] / "src"


def program_that_notes(world, directory="bin"):
    """(directory for PATH, the file that gets a line for each run of the program `noter`)."""
    place = world.fresh_directory(directory)
    notes = place / "notes"
    programs.compile_program(place / "noter", "note_run.c", f'-DNOTES="{notes}"')
    return place, notes


NOTING = r"""
for i in 1 2 3 4 5 6; do noter $i $((i % 3)); echo "status $?"; done
x=$(noter sub); echo "$x"
noter pipe | cat
( noter nested 4 ); echo "status $?"
"""


def runs_of(notes):
    return notes.read_text().split() if notes.exists() else []


EXPECTED_RUNS = ["1", "2", "3", "4", "5", "6", "sub", "pipe", "nested"]


def require_same_with(world, command, what):
    """Output as under bash, and each program run exactly once."""
    place, notes = program_that_notes(world)
    environment = programs.on_path(place)
    reference = world.run(REFERENCE, NOTING + WORK, environment=environment)
    for options in ((), ("--isolation", "exec")):
        notes.write_text("")
        subject = world.run(
            SUBJECT, NOTING + WORK, environment=environment, command=command, options=options
        )
        world.require_same(reference, subject, what)
        ran = runs_of(notes)
        require(
            ran == EXPECTED_RUNS,
            f"{what}: the program was run with the arguments {ran}, not {EXPECTED_RUNS}",
        )


def agent_beside(command):
    path = pathlib.Path(command).parent / "libprewarm-agent.so"
    need(path.exists(), "there is no agent beside the command")
    return path


def replace_with(command, name, content):
    path = pathlib.Path(command).parent / name
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o755)
    return path


@case()
def product_whole(world):
    require_same_with(world, world.staged_products(), "a copy of the products")


@case()
def agent_missing(world):
    require_same_with(world, world.staged_products("libprewarm-agent.so"), "no agent")


@case()
def agent_is_garbage(world):
    for what, content in (
        ("an empty agent", b""),
        ("a text as agent", b"not a program\n" * 100),
        ("half an agent", None),
        ("an agent that is a program", pathlib.Path("/bin/true").read_bytes()),
    ):
        command = world.staged_products()
        if content is None:
            whole = agent_beside(command).read_bytes()
            content = whole[: len(whole) // 2]
        replace_with(command, "libprewarm-agent.so", content)
        require_same_with(world, command, what)


@case()
def agent_is_a_directory(world):
    command = world.staged_products("libprewarm-agent.so")
    (pathlib.Path(command).parent / "libprewarm-agent.so").mkdir()
    require_same_with(world, command, "an agent that is a directory")


@case()
def agent_is_another_library(world):
    """It can be preloaded, but doesn't hold the program."""
    command = world.staged_products("libprewarm-agent.so")
    programs.compile_program(
        pathlib.Path(command).parent / "libprewarm-agent.so", "nothing.c", "-shared", "-fPIC"
    )
    require_same_with(world, command, "an agent that is another library")


def build_other_version(world, output):
    """The agent, made from its sources with another version of the table."""
    copy = world.fresh_directory("sources") / "src"
    shutil.copytree(SOURCE, copy)
    table = copy / "park" / "table.h"
    text, changed = re.subn(r"(kTableVersion = )\d+", r"\g<1>4711", table.read_text())
    require(changed == 1, "table.h has no kTableVersion: this test must be brought up to date")
    table.write_text(text)
    sources = sorted(str(p) for p in (copy / "park").glob("agent*.cc") if "_test" not in p.name)
    flags = "-std=c++23 -O2 -fPIC -shared -nostdlib -ffreestanding -fno-builtin -fno-exceptions "
    flags += "-fno-rtti -fno-stack-protector -fno-threadsafe-statics -fcf-protection=none "
    flags += "-fno-tree-loop-distribute-patterns -fno-asynchronous-unwind-tables -fvisibility=hidden"
    command = ["c++", *flags.split(), f"-I{copy}", f"-I{SOURCE.parent}/include", "-o", str(output)]
    result = subprocess.run([*command, *sources], capture_output=True, text=True, check=False)
    require(result.returncode == 0, f"the other agent can't be built:\n{result.stderr[-2000:]}")


@case(seconds=120)
def agent_of_another_version(world):
    need((SOURCE / "park" / "table.h").exists(), "the sources aren't here")
    command = world.staged_products("libprewarm-agent.so")
    build_other_version(world, pathlib.Path(command).parent / "libprewarm-agent.so")
    require_same_with(world, command, "an agent of another version")


@case()
def agent_unreadable(world):
    user = some_user()
    command = world.staged_products()
    agent_beside(command).chmod(0)
    world.same(WORK, "an agent that may not be read", command=command, user=user)


@case()
def loadable_missing(world):
    require_same_with(world, world.staged_products("prewarm.so"), "no loadable")


@case()
def loadable_is_garbage(world):
    command = world.staged_products()
    replace_with(command, "prewarm.so", b"not a library\n" * 100)
    require_same_with(world, command, "a text as loadable")


@case()
def products_vanish(world):
    """Removed while the script runs, as by an upgrade of the package."""
    place, notes = program_that_notes(world)
    environment = programs.on_path(place)
    script = WORK.replace("exit 5", "meet removed") + NOTING + WORK
    for which in (REFERENCE, SUBJECT):
        command = world.staged_products()
        notes.write_text("")
        with world.start(
            which, script, meets=True, command=command, environment=environment
        ) as run:
            run.meet("removed", lambda _: shutil.rmtree(pathlib.Path(command).parent))
            outcome = run.finish()
        if which == REFERENCE:
            reference = outcome
        require(runs_of(notes) == EXPECTED_RUNS, f"run with {runs_of(notes)}")
    world.require_same(reference, outcome, "products removed while the script runs")
