# SPDX-License-Identifier: MIT
"""A program or library replaced while it is parked: the new one runs at the very next call."""

import os
import shutil

from faults_harness import processes, programs
from faults_harness.cases import case, require
from faults_harness.runs import PATH, REFERENCE, SUBJECT

from .limits import in_own_mounts

USE = r"""
number a; echo "status $?"
x=$(number b); echo "$x, status $?"
number c | cat; echo "${PIPESTATUS[*]}"
( number d ); echo "status $?"
"""
WARM = "for i in 1 2 3 4 5; do number $i; x=$(number sub); number pipe | cat; done\n"
SCRIPT = f"{WARM}meet before\n{USE}meet after\n{USE}{WARM}meet again\n{USE}"


def place_with(world, *, library=False):
    """A directory with the program `number`, and in new/ the other build of everything."""
    place = world.fresh_directory("bin")
    for number, directory in ((1, place), (2, place / "new")):
        directory.mkdir(exist_ok=True)
        build(directory, number, library)
    return place


def build(directory, number, library):
    if not library:
        programs.compile_program(directory / "number", "number.c", f"-DNUMBER={number}")
        return
    made = directory / "libnumber.so"
    programs.compile_program(made, "number_library.c", f"-DNUMBER={number}", "-shared", "-fPIC")
    programs.compile_program(
        directory / "number", "number.c", "-DLIBRARY", str(made), "-Wl,-rpath,$ORIGIN"
    )


def replaced(world, change, restore=None, *, library=False, prepare=None, again=True, **conditions):
    """Runs SCRIPT, with `change(place)` made while the program is parked, `restore(place)` later."""
    outcomes = []
    for which in (REFERENCE, SUBJECT):
        place = place_with(world, library=library)
        path = prepare(place) if prepare else place
        environment = {"PATH": f"{path}:{PATH}", "PREWARM_PARK_DIRS": str(place.parent)}
        with world.start(
            which, SCRIPT, meets=True, stats=True, environment=environment, **conditions
        ) as run:
            run.meet("before", lambda r: r.expect_parked())
            run.meet("after", lambda _, p=place: change(p))
            run.meet("again", lambda _, p=place: restore(p) if restore else None)
            outcome = run.finish()
        outcome.stdout = outcome.stdout.replace(str(place), "BIN")
        outcome.stderr = outcome.stderr.replace(str(place), "BIN")
        outcomes.append(outcome)
    world.require_same(*outcomes)
    world.require_warm(outcomes[1], "number", 8)
    if again:
        require("2 a\n" in outcomes[0].stdout, f"nothing was replaced: {outcomes[0]}")
    return outcomes[1]


@case()
def moved_over(world):
    replaced(world, lambda p: os.replace(p / "new" / "number", p / "number"))


@case()
def moved_over_and_back(world):
    def change(place):
        os.rename(place / "number", place / "old")
        os.rename(place / "new" / "number", place / "number")

    replaced(world, change, lambda p: os.replace(p / "old", p / "number"))


@case()
def copied_to_a_new_file(world):
    def change(place):
        (place / "number").unlink()
        shutil.copy2(place / "new" / "number", place / "number")

    replaced(world, change)


@case()
def same_size_and_time(world):
    """Only the inode and its change time tell."""

    def change(place):
        old = (place / "number").stat()
        new = place / "new" / "number"
        os.utime(new, ns=(old.st_atime_ns, old.st_mtime_ns))
        os.truncate(new, max(old.st_size, new.stat().st_size))
        os.replace(new, place / "number")

    replaced(world, change)


def behind_link(place):
    os.rename(place / "number", place / "first")
    (place / "number").symlink_to("first")
    return place


def switch_link(place, target):
    (place / "link").symlink_to(target)
    os.replace(place / "link", place / "number")


@case()
def link_switched(world):
    replaced(world, lambda p: switch_link(p, "new/number"), lambda p: switch_link(p, "first"),
             prepare=behind_link)


@case()
def directory_link_switched(world):
    def prepare(place):
        (place / "current").symlink_to(".")
        return place / "current"

    def change(place):
        (place / "next").symlink_to("new")
        os.replace(place / "next", place / "current")

    replaced(world, change, prepare=prepare)


@case()
def library_moved_over(world):
    replaced(world, lambda p: os.replace(p / "new" / "libnumber.so", p / "libnumber.so"),
             library=True)


@case(seconds=120)
def library_before_first_use(world):
    """Replaced after the program was parked, and before anything parked was used."""
    # When it is parked depends on how often it was called.
    for calls in ("", "number 1\n", "number 1; number 2\n", "number 1; number 2; number 3\n"):
        for option in ("clone", "exec"):
            outcomes = [library_replaced_after(world, calls, option, which) for which in BOTH]
            world.require_same(*outcomes, f"isolation {option}, after {calls!r}")


BOTH = (REFERENCE, SUBJECT)


def library_replaced_after(world, calls, option, which):
    place = place_with(world, library=True)
    # What it finds by looking at the script it parks when the script goes on. mv is parked, too:
    # a fork of the shell would be an occasion to look at what has parked.
    script = f"meet look\n:\n{calls}meet before\nmv -f $1/new/libnumber.so $1/libnumber.so\n"
    script += "number a\nfor i in 1 2 3; do number b; number c; done\n"
    with world.start(
        which,
        script,
        meets=True,
        arguments=(str(place),),
        environment=programs.on_path(place),
        options=("--isolation", option),
    ) as run:
        run.meet("look", lambda r: r.settle(0.5))
        run.meet("before", lambda r: r.settle(0.5))
        return run.finish()


@case()
def library_written_over(world):
    """In place: pages that parked processes have mapped change under them."""

    def change(place):
        (place / "libnumber.so").write_bytes((place / "new" / "libnumber.so").read_bytes())

    replaced(world, change, library=True)


@case()
def library_removed(world):
    replaced(world, lambda p: os.rename(p / "libnumber.so", p / "away"),
             lambda p: os.rename(p / "away", p / "libnumber.so"), library=True, again=False)


@case()
def removed(world):
    replaced(world, lambda p: os.rename(p / "number", p / "away"),
             lambda p: os.rename(p / "away", p / "number"), again=False)


@case()
def not_executable(world):
    replaced(world, lambda p: (p / "number").chmod(0o644),
             lambda p: (p / "number").chmod(0o755), again=False)


@case()
def replaced_by_other_kinds(world):
    def by_script(place):
        (place / "number").unlink()
        (place / "number").write_text('#!/bin/sh\necho "2 $1"\n')
        (place / "number").chmod(0o755)

    def by_directory(place):
        (place / "number").unlink()
        (place / "number").mkdir()

    def by_static(place):
        programs.compile_program(place / "number", "number.c", "-DNUMBER=2", "-static")

    def by_set_id(place):
        (place / "new" / "number").chmod(0o4755)
        os.replace(place / "new" / "number", place / "number")

    def by_text(place):
        (place / "number").unlink()
        (place / "number").write_text('echo "2 $1"\n')
        (place / "number").chmod(0o755)

    for change in (by_script, by_static, by_set_id, by_text):
        replaced(world, change)
    replaced(world, by_directory, again=False)


@case()
def found_earlier_on_path(world):
    """bash remembers where it found a program; `hash -r` makes it look again."""
    script = SCRIPT.replace("meet after\n", "meet after\nhash -r\n")
    assert "hash -r" in script

    def prepare(place):
        (place / "first").mkdir()
        return f"{place}/first:{place}"

    def change(place):
        os.rename(place / "new" / "number", place / "first" / "number")

    def withdraw(place):
        (place / "first" / "number").unlink()

    replaced(world, change, withdraw, prepare=prepare, again=False)


def mounted_over_file(world, name, library):
    wrapper = in_own_mounts(":")
    script = WARM + f"meet mount\nmount --bind $1/new/{name} $1/{name}\n" + USE + WARM
    script += f"umount $1/{name}\n" + USE
    outcomes = []
    for which in (REFERENCE, SUBJECT):
        place = place_with(world, library=library)
        with world.start(
            which, script, meets=True, stats=True, wrapper=wrapper, arguments=(str(place),),
            environment=programs.on_path(place),
        ) as run:
            run.meet("mount", lambda r: r.expect_parked())
            outcomes.append(run.finish())
    world.require_same(*outcomes)


@case()
def mounted_over(world):
    mounted_over_file(world, "number", library=False)


@case()
def library_mounted_over(world):
    mounted_over_file(world, "libnumber.so", library=True)


# A locale that is no language's, so that nobody has it.
LOCALE = "aa_PREWARM.UTF-8"
LOCALES = "/usr/lib/locale"


def locales_changed(world, change, first=":", warm=3):
    """`locale charmap` before and after `change`, in a directory of locales of our own."""
    wrapper = in_own_mounts(
        f"mount -t tmpfs none /mnt && cp -a {LOCALES}/C.utf8 /mnt && mount --bind /mnt {LOCALES} &&"
        f" (cd {LOCALES} && {first})"
    )
    use = "locale charmap; x=$(locale charmap); echo $x; locale charmap | cat\n"
    script = f"export LC_ALL={LOCALE}\nfor i in 1 2 3 4 5; do {use}done 2>&1\nmeet change\n"
    script += f"cd {LOCALES}\n{change}\n{{ {use} }} 2>&1\n"
    outcomes = []
    for which in (REFERENCE, SUBJECT):
        with world.start(which, script, meets=True, stats=True, wrapper=wrapper) as run:
            run.meet("change", lambda r: r.expect_parked() if warm else r.settle())
            outcomes.append(run.finish())
    world.require_same(*outcomes)
    world.require_warm(outcomes[1], "locale", warm)
    lines = outcomes[0].stdout.split("\n")
    require(lines[-2] != lines[-3] or lines[-2] not in lines[:2], f"nothing changed: {lines}")


@case()
def locale_installed(world):
    locales_changed(world, "cp -a C.utf8 aa_PREWARM.utf8")


@case()
def locale_removed(world):
    locales_changed(world, "rm -r aa_PREWARM.utf8", "cp -a C.utf8 aa_PREWARM.utf8")


@case()
def locale_completed(world):
    """Its directory was there, but not what lies in it."""
    locales_changed(world, "cp -a C.utf8/. aa_PREWARM.utf8", "mkdir aa_PREWARM.utf8", warm=0)


@case()
def preloaded_by_the_system(world):
    """/etc/ld.so.preload appears."""
    library = world.fresh_directory("preloaded") / "libnothing.so"
    programs.compile_program(library, "nothing.c", "-shared", "-fPIC")
    wrapper = in_own_mounts(
        "mount -t tmpfs none /mnt && cp -a /etc/. /mnt && mount --bind /mnt /etc"
        " && rm -f /etc/ld.so.preload"
    )
    count = "grep -c libnothing.so /proc/self/maps\n"
    script = f"for i in 1 2 3 4 5; do {count}done\nmeet preload\n"
    script += f"echo {library} >/etc/ld.so.preload\n{count}rm /etc/ld.so.preload\n{count}"
    outcomes = []
    for which in (REFERENCE, SUBJECT):
        with world.start(which, script, meets=True, stats=True, wrapper=wrapper) as run:
            run.meet("preload", lambda r: r.expect_parked())
            outcomes.append(run.finish())
    world.require_same(*outcomes)
    world.require_warm(outcomes[1], "grep", 2)
    lines = outcomes[0].stdout.split()
    require(lines[-2] != "0" and lines[-1] == "0", f"nothing was preloaded: {lines}")


BUSY = "a program's file is busy while it is parked, as while it runs: it can't be written over"


@case(known=BUSY)
def written_over_in_place(world):
    """A program that isn't running can be written over, be it parked or not."""
    script = WARM + "meet write\ncat $1/new/number >$1/number; echo $?\n" + USE
    outcomes = []
    for which in (REFERENCE, SUBJECT):
        place = place_with(world)
        with world.start(
            which, script, meets=True, arguments=(str(place),),
            environment=programs.on_path(place),
        ) as run:
            run.meet("write", lambda r: r.expect_parked())
            outcomes.append(run.finish())
        outcomes[-1].stderr = outcomes[-1].stderr.replace(str(place), "BIN")
    world.require_same(*outcomes)


@case()
def old_ones_go_away(world):
    """What was parked of a file that is no more isn't kept."""
    place = place_with(world)
    script = WARM + "meet before\n" + WARM + "meet after\n"
    with world.start(SUBJECT, script, meets=True, environment=programs.on_path(place)) as run:
        run.meet("before", lambda r: [r.expect_parked(),
                                      os.replace(place / "new" / "number", place / "number")])
        run.hear("after")
        run.settle()
        stale = [p for p in run.parked() if processes.executable(p.pid).endswith("(deleted)")]
        require(not stale, f"{len(stale)} processes stay parked of a program that was replaced")
        run.go()
        run.finish()
