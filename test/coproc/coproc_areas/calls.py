# SPDX-License-Identifier: MIT
"""What a tool sees and says is the same by a worker as by itself."""

import os
import pathlib
import subprocess

from coproc_harness.world import case
from faults_harness.cases import need, require


def same(world, *arguments, data=b"", cwd="/", env=None, tool=None):
    """`prewarm call` by a worker, and the tool alone."""
    tool = tool or world.tool
    alone = subprocess.run(
        [tool, *arguments],
        input=data,
        capture_output=True,
        check=False,
        cwd=cwd,
        env={**world.env, **(env or {})},
    )
    served = world.start(tool, *arguments, options=["--no-batch"], cwd=cwd, env=env)
    out, err = served.communicate(data, timeout=60)
    require(
        (served.returncode, out, err) == (alone.returncode, alone.stdout, alone.stderr),
        f"{arguments!r:.200}: by a worker {served.returncode} {out!r:.300} {err!r:.300},\n"
        f"alone {alone.returncode} {alone.stdout!r:.300} {alone.stderr!r:.300}",
    )


@case()
def the_same_as_alone(world):
    for arguments in (
        [
            *("argv", "a", "", "b c", "new\nline", "back\\slash\\n", "\\", "ü"),
            os.fsdecode(b"\xff\xfe\x01"),
        ],
        ["name"],
        ["env", "HOME", "NOT_SET"],
        ["umask"],
        ["pwd"],
        ["out", "text"],
        ["out-exit", "text", "7"],
        ["err", "text"],
        ["mix", "20"],
        ["big", "300000"],
        ["exit", "0"],
        ["exit", "255"],
        ["quit", "9"],
        ["fail", "so"],
        ["no-such-command"],
        ["limit"],
    ):
        same(world, *arguments)
    same(world, "cat", data=bytes(range(256)) * 5000)
    same(world, "line", data=b"one\ntwo\n")
    same(world, "kill", "15")
    same(world, "kill", "9")
    same(world, "kill", "10")


@case()
def the_whole_environment(world):
    odd = {"ODD": os.fsdecode(b"\xff\n\\n\x01"), "EMPTY": "", "LONG": "x" * 100000}
    same(world, "environ", env=odd)
    same(world, "environ", env={f"V{i}": "y" * 50000 for i in range(20)})


@case()
def large_arguments(world):
    # One argument may have 128 KiB; together they make a mebibyte.
    same(world, "argv", *(["z" * 120000] * 9))
    same(world, "argv", *(["q"] * 20000))


@case()
def odd_directory(world):
    odd = world.directory / os.fsdecode(b"dir \xff\n\\")
    odd.mkdir()
    same(world, "pwd", cwd=odd)
    tool = odd / "to\nol"
    if os.stat(world.tool).st_dev == os.stat(odd).st_dev:
        os.link(world.tool, tool)
    else:
        tool.write_bytes(pathlib.Path(world.tool).read_bytes())
    tool.chmod(0o755)
    same(world, "name", tool=str(tool), cwd=odd)
    same(world, "name", tool="./to\nol", cwd=odd)


@case()
def directory_removed(world):
    gone = world.directory / "gone"
    gone.mkdir()
    world.warm()
    script = f'cd {gone} && rmdir {gone} && exec {world.prewarm} call --explain {world.tool} out x'
    result = subprocess.run(
        ["sh", "-c", script], env=world.env, capture_output=True, text=True, check=False
    )
    require((result.returncode, result.stdout) == (0, "x"), f"{result}")
    require("runs as a batch process: find the working directory" in result.stderr, f"{result}")


@case()
def directory_not_permitted(world):
    """A worker can't enter it: another user's, whose directory was entered as root."""
    need(os.geteuid() == 0, "root is needed to become another user")
    command = pathlib.Path(world.prewarm).resolve()
    reachable = all(path.stat().st_mode & 1 for path in (command, *command.parents))
    need(reachable, "another user can't run the command where it lies")
    shut = world.directory / "shut"
    shut.mkdir(mode=0o700)
    world.directory.chmod(0o777)
    world.runtime.mkdir(mode=0o700)
    os.chown(world.runtime, 65534, 65534)

    def as_nobody():
        os.chdir(shut)
        os.setgid(65534)
        os.setuid(65534)

    process = world.start(
        world.tool, "out", "x", options=["--explain"], cwd="/", preexec_fn=as_nobody
    )
    result = world.result(process)
    require((result.status, result.out) == (0, "x"), f"{result}")
    require("batch process: the working directory can't be entered" in result.err, f"{result}")
    stop = world.start("stop", verb=("pool",), preexec_fn=as_nobody)
    require(world.result(stop).status == 0, "pool stop")
    os.chown(world.runtime, 0, 0)


@case()
def closed_streams(world):
    """A tool whose streams are closed sees that; no worker could show it."""
    world.warm()
    for closed, arguments in (("0<&-", ["cat"]), ("1>&-", ["big", "5"]), ("2>&-", ["out", "x"])):
        ends = [
            subprocess.run(
                ["sh", "-c", f'exec "$@" {closed}', "sh", *command, world.tool, *arguments],
                env=world.env,
                capture_output=True,
                check=False,
            )
            for command in ([], [world.prewarm, "call"])
        ]
        alone, called = ((r.returncode, r.stdout, r.stderr) for r in ends)
        require(alone == called, f"{closed}: {called}, alone {alone}")


@case()
def not_found(world):
    world.expect(
        "no-such-tool", status=127, err="prewarm: call: can't run no-such-tool: it is not on PATH\n"
    )
    world.expect(
        "/no/such", status=127, err="prewarm: call: can't run /no/such: No such file or directory\n"
    )
    plain = world.directory / "plain"
    plain.write_text("x")
    world.expect(plain, status=126, err=f"prewarm: call: can't run {plain}: it is not executable\n")
    world.expect("/tmp", status=126, err="prewarm: call: can't run /tmp: it is a directory\n")


@case()
def batch_and_explain(world):
    reason = "/bin/echo is not declared as a coprocess, and doesn't say that it is one"
    world.expect("/bin/echo", "hi", out="hi\n")
    world.expect(
        "/bin/echo",
        "hi",
        options=["--explain"],
        out="hi\n",
        err=f"prewarm: call: /bin/echo runs as a batch process: {reason}\n",
    )
    world.expect(
        "/bin/echo",
        options=["--no-batch"],
        status=125,
        err=f"prewarm: call: no worker serves /bin/echo: {reason}\n",
    )
    world.expect(
        world.tool,
        "exit",
        "3",
        options=["--explain"],
        status=3,
        err=f"prewarm: call: {world.tool} was served by a worker\n",
    )
    script = world.directory / "no-first-line"
    script.write_text("echo script $1\n")
    script.chmod(0o755)
    world.expect(script, "a", out="script a\n")
    world.expect(script, "a", options=["--timeout", "30"], out="script a\n")


@case()
def batch_has_a_deadline(world):
    world.expect(
        "/bin/sleep",
        "100",
        options=["--timeout", "0.3"],
        status=124,
        err="prewarm: call: /bin/sleep: its time was over\n",
    )
    world.expect(
        "/bin/sh",
        "-c",
        "trap '' TERM; while :; do sleep 0.1; done",
        options=["--timeout", "0.3"],
        status=124,
        err="prewarm: call: /bin/sh: its time was over\n",
    )
    world.expect("/bin/sh", "-c", "kill -USR1 $$", options=["--timeout", "30"], status=-10)
    world.expect("/bin/sh", "-c", "exit 5", options=["--timeout", "30"], status=5)


@case()
def nothing_is_inherited(world):
    """A descriptor of the first caller stays open nowhere: its reader would wait for ever."""
    read, write = os.pipe()
    process = world.start(world.tool, "out", "x", pass_fds=[write])
    os.close(write)
    require(world.result(process).status == 0, "the call")
    require(os.read(read, 1) == b"", "somebody has written")
    result = world.call(world.tool, "child-fds")
    require(result.out.split() == ["0", "1", "2"], f"what a worker starts has {result.out}")


@case()
def what_is_left_behind_goes_on(world):
    fifo = world.directory / "fifo"
    os.mkfifo(fifo)
    process = world.start(world.tool, "hold-stdout", str(fifo))
    require(process.wait(30) == 0, "the call waits for what its tool left behind")
    with open(fifo, "wb") as end:
        end.write(b"later\n")
    require(process.stdout.read() == b"later\n", "what was left behind doesn't write")
