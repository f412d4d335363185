# SPDX-License-Identifier: MIT
"""Too little of something: the script runs as under bash, and nobody says a word."""

import contextlib
import os
import pathlib
import resource
import shutil
import subprocess

from faults_harness import processes, programs
from faults_harness.cases import case, need, require
from faults_harness.runs import REFERENCE, SUBJECT
from faults_harness.waiting import wait_until

# Simple commands, pipelines, substitutions, subshells, failing ones; at most four processes at a time.
WORK = r"""
for i in 1 2 3 4 5 6 7 8; do
  seq $i $((i + 1)) | tr '\n' ' '
  x=$(seq $i | tail -n 1); echo "x=$x"
  ( expr $i + 1 )
  cut -d: -f1 not-there; echo "status $?"
  grep -c done script
  cut -c1 script | head -n 2 >/dev/null
done
exit 5
"""


def limit(which, soft, hard=None):
    return lambda: resource.setrlimit(which, (soft, soft if hard is None else hard))


def some_user():
    """A user whose processes are ours alone, so that nobody else's count."""
    need(os.geteuid() == 0, "only root can run as another user")
    return 61000 + os.getpid() % 4000


@case()
def none(world):
    """The script of this area does get warm when nothing is short."""
    outcome = world.same(WORK, stats=True)
    for name in ("seq", "tr", "expr", "cut"):
        world.require_warm(outcome, name, 3)


@case()
def open_files(world):
    for count in (14, 20, 64, 256, 511, 512, 560, 1024):
        world.same(WORK, f"RLIMIT_NOFILE {count}", prepare=limit(resource.RLIMIT_NOFILE, count))


@case()
def open_files_used_up(world):
    """The limit is large enough, but nearly all numbers are in use."""

    def fill(left):
        def prepare():
            resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
            with contextlib.suppress(OSError):
                while True:
                    os.set_inheritable(os.open("/dev/null", os.O_RDONLY), True)
            os.closerange(1024 - left, 1024)

        return prepare

    for left in (16, 24, 40, 80):
        world.same(WORK, f"{left} descriptors left of 1024", prepare=fill(left))


@case()
def processes_few(world):
    user = some_user()
    for count in (7, 12, 40, 200):
        world.same(
            WORK,
            f"RLIMIT_NPROC {count}",
            prepare=limit(resource.RLIMIT_NPROC, count),
            user=user,
            command=world.staged_products(),
        )


@contextlib.contextmanager
def crowd(world, user, count):
    """`count` tasks of `user`, alive within the block."""
    program = programs.compile_program(
        world.fresh_directory("crowd") / "hold", "hold_threads.c", "-pthread"
    )

    def become():
        os.setgid(user)
        os.setuid(user)

    # Its threads count as tasks of the user.
    with subprocess.Popen(
        [program, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=become,
    ) as holder:
        require(holder.stdout.readline() == "holding\n", "the crowd did not gather")
        yield
        holder.stdin.close()


@case(seconds=120)
def processes_crowded(world):
    """A high limit, which other processes of the user nearly reach."""
    user = some_user()
    command = world.staged_products()
    with crowd(world, user, 1100):
        for left in (7, 9, 12, 20):
            world.same(
                WORK,
                f"RLIMIT_NPROC leaves {left}",
                prepare=limit(resource.RLIMIT_NPROC, 1101 + left),
                user=user,
                command=command,
            )


@case()
def memory(world):
    mib = 1 << 20
    for name, which, sizes in (
        ("RLIMIT_AS", resource.RLIMIT_AS, (12 * mib, 40 * mib, 500 * mib)),
        ("RLIMIT_DATA", resource.RLIMIT_DATA, (2 * mib, 20 * mib)),
        ("RLIMIT_STACK", resource.RLIMIT_STACK, (160 << 10, mib, 2 * mib)),
        ("RLIMIT_MEMLOCK", resource.RLIMIT_MEMLOCK, (0,)),
        ("RLIMIT_SIGPENDING", resource.RLIMIT_SIGPENDING, (0,)),
        ("RLIMIT_CORE", resource.RLIMIT_CORE, (0,)),
    ):
        for size in sizes:
            world.same(WORK, f"{name} {size}", prepare=limit(which, size))


@case()
def processor_time(world):
    """The limit ends a program that runs away, warm or not, and bash says so."""
    script = r"""
for i in 1 2 3 4 5; do seq 1 3 | tail -n 1; done
ulimit -t 1
seq 1 inf >/dev/null; echo "status $?"
for i in 1 2 3; do expr $i + 1; done
"""
    world.same(script, "ulimit -t in the script")
    world.same(WORK, "RLIMIT_CPU 5", prepare=limit(resource.RLIMIT_CPU, 5))


# The script's output goes into a pipe, which no file size limit counts for.
PIPED = 'set -o pipefail; ( ulimit -f {blocks}; exec "$@" ) 2>&1 | cat'


@case()
def file_size(world):
    """Nothing may be written to a file behind the script's back, not even when it ends."""
    for blocks in (0, 1, 8):
        wrapper = ("bash", "-c", PIPED.format(blocks=blocks), "bash")
        world.same(WORK, f"ulimit -f {blocks}", wrapper=wrapper)
    in_script = "for i in 1 2 3 4 5; do seq $i | tail -n 1 | cat; done | cat\nulimit -f 0\n" + WORK
    wrapper = ("bash", "-c", PIPED.format(blocks="unlimited"), "bash")
    world.same(in_script, "ulimit -f 0 in the script", wrapper=wrapper)


@case()
def changed_in_script(world):
    """A limit that the script sets holds for everything that it launches from then on."""
    script = "for i in 1 2 3 4 5; do cat /proc/self/limits | tail -n 3; done >/dev/null\n"
    for change in (
        *("-n 64", "-S -n 300", "-s 1024", "-c 0", "-u 3000", "-v 900000", "-d 900000", "-l 16"),
        *("-t 1000", "-f 2000", "-i 50", "-q 1000", "-S -s unlimited"),
    ):
        script += f"""
( ulimit {change}; cat /proc/self/limits; x=$(cat /proc/self/limits); echo "$x"
  cat /proc/self/limits | cat )
cat /proc/self/limits
"""
    script += "ulimit -n 64; cat /proc/self/limits; x=$(cat /proc/self/limits); echo \"$x\"\n"
    world.require_warm(world.same(script, "ulimit in a subshell", stats=True), "cat", 3)


@case()
def attributes_changed_in_script(world):
    """Other inherited things that tools set from outside: priority, affinity, adjustments."""
    show = "cut -d' ' -f18,19,40,41 /proc/self/stat; grep -E 'Cpus_allowed:' /proc/self/status"
    warm = f"for i in 1 2 3 4 5; do {show}; done\n"
    changes = ("renice -n 3 -p $$ >/dev/null", "taskset -p 1 $$ >/dev/null", "ionice -c 3 -p $$")
    changes += ("prlimit --pid $$ --nofile=300:300", "echo 77 >/proc/$$/oom_score_adj")
    changes += ("choom -n 55 -p $$ >/dev/null", "chrt -b -p 0 $$")
    for change in changes:
        after = f"{change}\n{show}\ncat /proc/self/limits /proc/self/oom_score_adj\nionice\nchrt -p $$ | cut -c1-3 >/dev/null\n"
        world.same(warm + after, change)


@case()
def priority_changed_without_policy(world):
    can = subprocess.run(["chrt", "-f", "2", "true"], capture_output=True, check=False)
    need(can.returncode == 0, "no real-time priorities here")
    show = "cut -d' ' -f40,41 /proc/self/stat\n"
    script = f"chrt -f -p 1 $$\nfor i in 1 2 3 4 5; do {show}done\n"
    script += f"chrt -f -p 2 $$\n{show}chrt -R -f -p 2 $$\n{show}chrt -o -p 0 $$\n{show}"
    world.require_warm(world.same(script, "chrt", stats=True), "cut", 2)


# -- control groups


def group_directory(controller):
    """A new control group with `controller`: (directory, True for version 2)."""
    name = f"prewarm-faults-{os.getpid()}"
    for base, unified in ((f"/sys/fs/cgroup/{controller}", False), ("/sys/fs/cgroup", True)):
        directory = pathlib.Path(base) / name
        with contextlib.suppress(OSError):
            directory.mkdir()
            if (directory / ("pids.max" if controller == "pids" else "cgroup.procs")).exists():
                return directory, unified
            directory.rmdir()
    return None, False


class Enter:
    """Puts the process that calls it into the control group."""

    def __init__(self, directory):
        self.directory = directory

    def __call__(self):
        (self.directory / "cgroup.procs").write_text(f"{os.getpid()}\n")


@contextlib.contextmanager
def group(controller, settings):
    """A control group with `settings`: file name in version 1, in version 2, value."""
    directory, unified = group_directory(controller)
    need(directory, f"no control group with {controller} can be made")
    try:
        for first, second, value in settings:
            file = directory / (second if unified else first)
            need(file.exists(), f"control groups have no {file.name} here")
            file.write_text(f"{value}\n")
        yield Enter(directory)
    finally:
        processes.kill_below(os.getpid())
        # The kernel takes a moment to see that nobody is in it.
        require(wait_until(lambda: removed(directory), 10), f"{directory} can't be removed")


def removed(directory):
    with contextlib.suppress(OSError):
        directory.rmdir()
    return not directory.exists()


@case()
def group_changed_from_outside(world):
    """To one whose name, which is long, ends in another letter."""
    with group("pids", []) as enter:
        first, second = (enter.directory / ("x" * 250 + letter) for letter in "ab")
        for directory in (first, second):
            directory.mkdir()
        try:
            show = "grep -o '.$' /proc/self/cgroup\n"
            move = "sh -c 'echo $1 >$2/cgroup.procs' sh $$"
            script = f"{move} {first}\nfor i in 1 2 3 4 5; do {show}done\n{move} {second}\n{show}"
            script += f"{move} {first.parent}\n"
            outcome = world.same(script, "another group", prepare=enter, stats=True)
            world.require_warm(outcome, "grep", 2)
        finally:
            processes.kill_below(os.getpid())
            for directory in (first, second):
                require(wait_until(lambda d=directory: removed(d), 10), f"{directory} stays")


@case(seconds=120)
def group_processes(world):
    for count in (5, 7, 10, 16):
        with group("pids", [("pids.max", "pids.max", count)]) as enter:
            world.same(WORK, f"pids.max {count}", prepare=enter)


@case(seconds=120)
def group_memory(world):
    """Too little for parked processes, enough for the script."""
    for kib in (6000, 10000, 16000):
        settings = [("memory.limit_in_bytes", "memory.max", kib << 10)]
        with group("memory", settings) as enter:
            world.same(WORK, f"{kib} KiB", prepare=enter)


# -- missing file systems


def in_own_mounts(commands):
    need(os.geteuid() == 0, "only root can have mounts of its own")
    probe = ["unshare", "-m", "sh", "-c", f"{commands}"]
    result = subprocess.run(probe, capture_output=True, text=True, check=False)
    need(result.returncode == 0, f"can't prepare the mounts here: {result.stderr.strip()}")
    return ("unshare", "-m", "sh", "-c", f'{commands}; exec "$@"', "sh")


@case()
def no_proc(world):
    wrapper = in_own_mounts("umount -l /proc")
    world.same(WORK, "without /proc", wrapper=wrapper)


@case()
def proc_goes_away(world):
    """Unmounted, and mounted again, while processes are parked."""
    script = WORK.replace("exit 5", "umount -l /proc\n") + WORK.replace(
        "exit 5", "mount -t proc proc /proc\n"
    )
    world.same(script + WORK, "/proc goes away", wrapper=in_own_mounts(":"))


@case()
def shared_memory_directory(world):
    for commands in (
        "mount -t tmpfs -o ro none /dev/shm",
        "mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5",
    ):
        world.same(WORK, commands, wrapper=in_own_mounts(commands))


@case()
def no_devices(world):
    commands = "mount -t tmpfs none /dev"
    script = WORK.replace(">/dev/null", "| wc -l")
    world.same(script, commands, wrapper=in_own_mounts(commands))


@case()
def reason_is_named(world):
    """Where nothing can be parked the statistics say why, for every launch."""
    script = "for i in 1 2 3 4; do cut -c1 script; x=$(seq $i | tail -n 1); ( seq $x; seq 2 ); done\n"
    file_size = limit(resource.RLIMIT_FSIZE, 1 << 20)
    for reason, conditions in (
        ("no_room", {"prepare": limit(resource.RLIMIT_NOFILE, 256)}),
        ("no_room", {"prepare": file_size}),
        ("agent_missing", {"command": world.staged_products("libprewarm-agent.so")}),
        ("warming_disabled", {"options": ("--max-warm", "0")}),
    ):
        outcome = world.same(script, reason, stats=True, **conditions)
        for name in ("cut", "seq", "tail") if world.warm_check else ():
            seen = outcome.of(name)["reasons"]
            require(list(seen) == [reason], f"{name} is said to be cold because of {seen}, not {reason}")


# -- where a profile would be kept


def twice(world, what, **conditions):
    """A profile is written by the first run and read by the second."""
    for _ in range(2):
        world.same(WORK, what, **conditions)


@case(seconds=120)
def cache_unusable(world):
    file = world.fresh_directory("places") / "file"
    file.write_text("not a directory\n")
    loop = file.parent / "loop"
    loop.symlink_to("loop")
    unwritable = file.parent / "unwritable"
    unwritable.mkdir(mode=0o555)
    for what, environment in (
        ("no HOME", {"HOME": None, "XDG_CACHE_HOME": None}),
        ("an empty HOME", {"HOME": "", "XDG_CACHE_HOME": None}),
        ("a HOME that isn't there", {"HOME": "/nonexistent/home", "XDG_CACHE_HOME": None}),
        ("a cache that is a file", {"XDG_CACHE_HOME": str(file)}),
        ("a cache that is a loop of links", {"XDG_CACHE_HOME": str(loop)}),
        ("a cache in /proc", {"XDG_CACHE_HOME": "/proc/self"}),
        ("a relative cache", {"XDG_CACHE_HOME": "relative"}),
        ("a cache with a name too long", {"XDG_CACHE_HOME": "/tmp/" + "x" * 5000}),
        ("an unwritable cache", {"XDG_CACHE_HOME": str(unwritable)}),
    ):
        user = some_user() if what == "an unwritable cache" else 0
        command = world.staged_products() if user else ""
        twice(world, what, environment=environment, user=user, command=command)


@case()
def cache_full(world):
    place = world.fresh_directory("mounted")
    # A file that takes what there is; a directory that can't be grown either.
    fill = f"mount -t tmpfs -o size=16k,nr_inodes=3 none {place}; cat /dev/zero >{place}/f 2>/dev/null"
    wrapper = in_own_mounts(f"{fill}; true")
    twice(world, "a full cache", wrapper=wrapper, environment={"XDG_CACHE_HOME": str(place)})


@case()
def cache_damaged(world):
    """Whatever lies where a profile should be."""
    cache = world.fresh_directory("kept")
    environment = {"XDG_CACHE_HOME": str(cache)}
    world.run(SUBJECT, WORK, environment=environment)
    files = [p for p in cache.rglob("*") if p.is_file()]
    for content in (b"", b"\0" * 4096, os.urandom(4096), b"x" * (1 << 20), b"\xff" * 63):
        for file in files:
            file.write_bytes(content)
        twice(world, f"a profile of {len(content)} odd bytes", environment=environment)
    return f"{len(files)} files are kept in the cache"


@case()
def profile_counts(world):
    """How often each program was called for, and how often by a subshell."""
    cache = world.fresh_directory("kept")
    script = """
cut -c1 script; cut -c2 script | tail -n 1; tail -n 1 <<<$(seq 2) & wait
( seq 1; seq 2; expr 1 + 1 ); ( expr 2 + 1 ); x=$(seq 3; expr 3 + 1)
for i in 1 2; do tr a b <script; done | ( tr b c; wc -l </dev/null; head -c 1 script )
"""
    for options in ((), ("--max-warm", "2"), ("--isolation", "exec")):
        shutil.rmtree(cache / "prewarm", ignore_errors=True)
        world.run(SUBJECT, script, environment={"XDG_CACHE_HOME": str(cache)}, options=options)
        lines = "".join(p.read_text() for p in cache.glob("prewarm/profiles/*")).splitlines()[1:]
        counts = {pathlib.Path(path).name: (int(n), int(s)) for n, s, path in map(str.split, lines)}
        require(counts.get("cut") == (2, 0), f"{options}: cut is of the main shell: {counts}")
        require(counts.get("tail") == (2, 0), f"{options}: tail is of the main shell: {counts}")
        require(counts.get("expr") == (3, 3), f"{options}: expr is of subshells: {counts}")
        require(counts.get("head") == (1, 1), f"{options}: head is of a subshell: {counts}")


# -- descriptors that the script uses itself


@case()
def descriptors_taken(world):
    """Numbers that prewarm may have chosen for its own."""
    warm = "for i in 1 2 3 4 5; do seq $i | tail -n 1; cut -c1 script | head -n 1; done\n"
    use = r"""
for n in 61 62 63 64 65 70 100 250 254 500 {510..545} 600 767 768 1000 1020; do
  eval "exec $n>>written-$n"
  seq $n $n >&$n
  x=$(seq $n | tail -n 1); echo "$x"
  seq 1 3 | tail -n 1
  pwd -P | sed 's,.*/,,'; env pwd | sed 's,.*/,,'
  cut -c1 script | head -n 1
done
for n in {510..545} 768 1000; do
  eval "exec $n>&-"
  seq 1 3 | tail -n 1
done
env pwd | sed 's,.*/,,'
"""
    outcome = world.same(warm + use, "the script opens high descriptors", stats=True)
    world.require_warm(outcome, "seq", 3)
    world.same(use + warm, "the script opens high descriptors first")


@case()
def descriptors_not_there(world):
    """What the script hasn't opened it can't use."""
    warm = "for i in 1 2 3 4 5; do seq $i | tail -n 1; cut -c1 script | head -n 1; done\n"
    use = r"""
for n in {5..70} {250..260} {505..600} {760..800} {1000..1023}; do
  if { : >&$n; } 2>/dev/null; then echo "$n is open"; fi
  if { true <&$n; } 2>/dev/null; then echo "$n can be read"; fi
done
seq 3 >&520; echo "status $?"
{ seq 3; } 2>&516; echo "status $?"
"""
    world.same(warm + use, "the script uses descriptors that it hasn't opened")
