#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""coproc_run_test.py PREWARM [CASE...]: the same scripts under bash and under `prewarm run` with a
declared command. Output, status and files must be the same; and the command must have been run by a
worker as often as the case says. A server in this process stands for the owner of workers."""

import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from stand_in_owner import Owner

HERE = pathlib.Path(__file__).resolve().parent
PREWARM = pathlib.Path(sys.argv.pop(1)).resolve()
PR_SET_CHILD_SUBREAPER = 36
BOUND = 60  # seconds; far more than anything here takes
HEAD = "set -u\nmkfifo fifo gate\n"


class Ran:
    """What a run has left to look at."""

    def __init__(self, process, stats):
        # bash's message about a child that was killed has its pid.
        err = re.sub(rb"(?m)^(script: line \d+:) +\d+ ", rb"\1 PID ", process.stderr)
        self.shown = (process.stdout, err, process.returncode)
        self.commands = stats.get("commands", [])

    def launches(self, rung, name="tool"):
        return sum(c[rung] for c in self.commands if c["command"] == name)

    def reasons(self, name="tool"):
        rows = (c["reasons"].items() for c in self.commands if c["command"] == name)
        return {reason: n for row in rows for reason, n in row}


class CoprocessTest(unittest.TestCase):
    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="prewarm-coproc."))
        self.addCleanup(shutil.rmtree, self.place)
        for name in ("bin", "run", "cache"):
            (self.place / name).mkdir(mode=0o700)
        self.tool = self.place / "bin" / "tool"
        shutil.copy(HERE / "tool", self.tool)
        self.declarations = self.place / "coprocesses.toml"
        self.declarations.write_text("[command.tool]\n")
        self.owner = Owner(self.place / "run" / "pool.sock")
        self.addCleanup(self.owner.close)
        self.environment = {
            "PATH": f"{self.place / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.place),
            "LC_ALL": "C.UTF-8",
            "XDG_CACHE_HOME": str(self.place / "cache"),
            "PREWARM_DECLARATIONS": str(self.declarations),
            "PREWARM_RUNTIME_DIR": str(self.place / "run"),
        }

    def run_by(self, command, script, **more):
        directory = self.place / "work"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        (directory / "script").write_text(HEAD + script)
        stats = self.place / "stats"
        stats.unlink(missing_ok=True)
        process = subprocess.run(
            [*command, "script"],
            cwd=directory, env=self.environment, capture_output=True, timeout=BOUND,
            **{"stdin": subprocess.DEVNULL, **more},
        )  # fmt: skip
        return Ran(process, json.loads(stats.read_text()) if stats.exists() else {})

    def by_bash(self, script, **more):
        return self.run_by(["bash"], script, **more)

    def by_prewarm(self, script, *options, **more):
        command = [PREWARM, "run", "--stats-json", self.place / "stats", *options]
        return self.run_by(command, script, **more)

    def same(self, script, served, reasons=None, outlives=False, **more):
        """The script does the same by both; `served` requests reach the owner, all others are cold
        for `reasons`. `outlives`: a command has no proxy at the script's end, or still has, and is
        not counted then."""
        expected = self.by_bash(script, **more)
        before = len(self.owner.requests)
        self.ran = self.by_prewarm(script, **more)
        self.assertEqual(self.ran.shown, expected.shown)
        reached = len(self.owner.requests) - before
        self.assertEqual(reached, served, "requests that reached the owner")
        self.assertEqual(self.ran.reasons(), reasons or {})
        if self.owner.mode == "run" and not outlives:
            self.assertEqual(self.ran.launches("coprocess"), served)
        return expected.shown


class Scripts(CoprocessTest):
    """What scripts do with commands."""

    def test_arguments(self):
        out, _, _ = self.same(
            r"""tool args a '' 'b c' $'two\nlines' '\' '\n' $'\xff\xfe' "$(seq 1 3000)" """, 1
        )
        self.assertIn(b"<><b c><two\nlines><\\><\\n><\xff\xfe><1\n2\n", out)

    def test_many_arguments(self):
        self.same("tool args $(seq 1 20000) | tail -c 30", 1)

    def test_statuses(self):
        out, _, status = self.same(
            "for n in 0 1 77 255; do tool exit $n; echo $?; done; tool exit 3", 5
        )
        self.assertEqual((out, status), (b"0\n1\n77\n255\n", 3))

    def test_ended_by_signal(self):
        self.same("tool kill 15; echo $?; (tool kill 6); echo $?; tool kill 2; echo not reached", 3)

    def test_environment(self):
        self.same(
            "export A=1 B=$'x\\ny'; C=3 tool env A B C PWD _; tool env C; unset A; tool env A", 3
        )

    def test_directory_and_mask(self):
        self.same(
            "mkdir d; cd d; umask 027; tool place; (cd /; umask 0; tool place); tool place", 3
        )

    def test_redirections(self):
        self.same(
            """tool both >o 2>e; cat o e; tool both >b 2>&1; cat b; tool both >>b 2>&1; cat b
            tool cat <b; tool cat <<<here; tool cat <<X
document
X
            tool both 2>&1 >/dev/null; tool both >&2 2>/dev/null; tool cat <missing; echo $?""",
            8,
        )

    def test_pipelines(self):
        self.same(
            """set -o pipefail; tool both 2>/dev/null | tr o 0; seq 5 | tool cat | tail -n 2
            seq 3 | tool cat; tool exit 4 | cat; echo $? ${PIPESTATUS[*]}
            tool args x | tool cat | tool cat
            yes | tool line; echo ${PIPESTATUS[*]}; seq 100000 | tool cat | head -n 1""",
            9,
        )

    def test_offset_is_shared(self):
        self.same(
            """seq 5 >f; { tool line; read x; echo $x; tool line; } <f
            while tool line; do break; done <f""",
            3,
        )

    def test_substitutions(self):
        self.same(
            """a=$(tool args b); echo "$a"; echo `tool args c`
            echo $(tool args d | tr d e) $(tool exit 9) $?
            x=$(echo 1; tool args 2; tool exit 5); echo "$x $?" """,
            6,
        )

    def test_background(self):
        self.same(
            """tool exit 3 & wait $!; echo $?; for i in 1 2 3 4 5 6; do tool exit $i & p[i]=$!; done
            for i in 1 2 3 4 5 6; do wait ${p[i]}; echo $?; done; tool args x & wait; jobs""",
            8,
        )

    def test_subshells_and_groups(self):
        self.same("(tool args 1; tool args 2); { tool args 3; }; ( ( tool exit 4 ) ); echo $?", 4)

    def test_functions_and_conditions(self):
        self.same(
            """f() { tool args "$@"; }; f x y; if tool exit 0; then echo yes; fi
            tool exit 1 || echo no; ! tool exit 1; echo $?; tool exit 0 && command tool args z
            while ! tool exit 0; do :; done""",
            7,
        )

    def test_errexit(self):
        out, _, status = self.same(
            "set -e; trap 'echo err $?' ERR; tool exit 0; echo on; tool exit 6; echo not", 2
        )
        self.assertEqual((out, status), (b"on\nerr 6\n", 6))

    def test_traps(self):
        self.same(
            """trap 'echo bye $?' EXIT; trap 'echo child' CHLD; tool exit 0
            (trap 'echo in' EXIT; tool exit 4)""",
            2,
        )

    def test_xtrace(self):
        self.same("set -x; tool args a; x=$(tool args b); (tool args c)", 3)

    def test_time(self):
        self.same("TIMEFORMAT=done; time tool args a; time (tool args b)", 2)

    def test_called_by_path(self):
        self.same(
            '"$HOME"/bin/tool name; ln -s "$HOME"/bin/tool .; ./tool name; hash -r; tool name', 3
        )

    def test_last_command_of_minus_c(self):
        before = len(self.owner.requests)
        run = [PREWARM, "run", "--stats-json", self.place / "stats"]
        ran = self.run_by([*run, "-c", "tool args $0; tool exit 5"], "")
        self.assertEqual(ran.shown, (b"<script>\n", b"", 5))
        self.assertEqual(len(self.owner.requests) - before, 2)
        self.assertEqual(ran.launches("coprocess"), 2)

    def test_other_commands_are_launched_as_always(self):
        self.same("for i in 1 2 3 4; do seq $i | cut -c 1; tool args $i; done", 4)
        warm = self.ran.launches("brokered", "cut") + self.ran.launches("direct", "cut")
        self.assertGreater(warm, 0)

    def test_declared_commands_are_not_parked(self):
        self.declarations.write_text("[command.'/usr/bin/cut']\n")
        for _ in "learn", "know":
            ran = self.by_prewarm("for i in 1 2 3 4; do echo a:b >f; cut -d: -f2 f; done")
            self.assertEqual((ran.shown[0], ran.launches("coprocess", "cut")), (b"b\n" * 4, 4))

    def test_a_saved_descriptor_is_not_held(self):
        """The substitution ends when its subshell does: the proxy has no copy of the pipe."""
        self.same(
            'x=$({ tool hold fifo gate & } >/dev/null; cat fifo); echo "<$x>"; echo >gate',
            1,
            outlives=True,
        )


class Signals(CoprocessTest):
    def test_caught_by_the_tool(self):
        for name in ("INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "WINCH", "ALRM"):
            with self.subTest(name):
                # A background command of a shell without job control ignores these.
                how = "set -m; " if name in ("INT", "QUIT") else ""
                end = f"kill -{name} $!; wait $!; echo $?"
                script = f"{how}tool pause fifo SIG{name} & read x <fifo; {end}"
                out, _, _ = self.same(script, 1)
                self.assertEqual(out, f"got SIG{name}\n7\n".encode())

    def test_not_caught(self):
        self.same("tool hold fifo gate & read x <fifo; kill -TERM $!; wait $!; echo $?", 1)

    def test_killed(self):
        """The proxy's end is the request's."""
        script = "tool hold fifo gate & read x <fifo; kill -KILL $!; wait $!; echo $?"
        self.same(script, 1, outlives=True)

    def test_ignored(self):
        script = """trap '' TERM; tool hold fifo gate & read x <fifo
            kill -TERM $!; echo >gate; wait $!; echo $?"""
        self.same(script, 1)
        self.assertEqual(self.owner.signals, [])

    def test_to_the_group(self):
        """As from a terminal: the shell and the command are its members, the worker isn't."""
        script = "trap 'echo shell' INT; tool pause fifo SIGINT; echo $?"

        def interrupted(command):
            directory = self.place / "work"
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            (directory / "script").write_text(HEAD + script)
            os.mkfifo(directory / "ready")
            (directory / "script").write_text(script.replace("fifo", "ready"))
            process = subprocess.Popen(
                [*command, "script"], cwd=directory, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            with open(directory / "ready") as ready:
                ready.read()
            os.killpg(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=BOUND)
            return out, err, process.returncode

        expected = interrupted(["bash"])
        self.assertEqual(expected[0], b"got SIGINT\nshell\n7\n")
        self.assertEqual(interrupted([PREWARM, "run"]), expected)
        self.assertEqual(len(self.owner.requests), 1)

    def test_stopped_and_continued(self):
        script = """set -m; tool pause fifo SIGUSR1 & read x <fifo; kill -TSTP %1
        until [[ $(jobs -s) ]]; do :; done; wait %1; echo $?
        kill -CONT %1; kill -USR1 %1; wait %1; echo $?"""
        out, _, _ = self.same(script, 1)
        self.assertEqual(out.count(b"got SIGUSR1\n7\n"), 1)
        self.assertIn(signal.SIGSTOP, self.owner.signals)
        self.assertIn(signal.SIGCONT, self.owner.signals)


class Doubts(CoprocessTest):
    """Where a worker would not do the same: a process of its own, and why."""

    def test_other_descriptors(self):
        script = "exec 5>f; tool write-fd 5; exec 5>&-; cat f; tool args x"
        self.same(script, 1, {"coprocess_descriptors": 1})

    def test_descriptors_that_the_shell_was_started_with(self):
        """They don't count, unless the script has put something else there."""
        with open(self.place / "leak", "w") as leak:
            script = "tool args a; exec %d>f; tool args b" % leak.fileno()
            ran = self.by_prewarm(script, pass_fds=[leak.fileno()])
        self.assertEqual(ran.shown[0], b"<a>\n<b>\n")
        self.assertEqual(len(self.owner.requests), 1)
        self.assertEqual(ran.reasons(), {"coprocess_descriptors": 1})

    def test_jobserver(self):
        self.environment["MAKEFLAGS"] = " -j4 --jobserver-auth=3,4"
        self.same("tool args a", 0, {"coprocess_descriptors": 1})

    def test_arguments_about_descriptors(self):
        script = """tool args /dev/fd/0; tool args --in=/proc/self/fd/0 <f; touch f
            tool args /dev/stdin"""
        self.same(script, 0, {"coprocess_descriptors": 2})

    def test_process_substitution(self):
        script = "tool args <(echo x) | tr -d 0-9; cat <(tool args y)"
        self.same(script, 1, {"coprocess_descriptors": 1})

    def test_closed_descriptors(self):
        self.same("tool fds <&-; tool fds >&- ; tool fds 2>&-", 0, {"coprocess_descriptors": 3})

    def test_exec(self):
        script = "(exec tool args a); (exec -a other tool name); exec tool args b"
        self.same(script, 0, {"exec_builtin": 3})

    def test_limits(self):
        self.same("tool args a; (ulimit -n 100; tool args b); ulimit -f 1000; tool args c", 1,
                  {"limits_changed": 2})  # fmt: skip

    def test_batch(self):
        self.declarations.write_text("[command.tool]\nprotocol = 'batch'\n")
        ran = self.by_prewarm("tool args a")
        self.assertEqual((ran.shown[0], self.owner.requests), (b"<a>\n", []))

    def test_batch_by_path(self):
        declarations = f"[command.tool]\n[command.'{self.tool}']\nprotocol = 'batch'\n"
        self.declarations.write_text(declarations)
        ran = self.by_prewarm("tool args a; mkdir d; cp \"$HOME\"/bin/tool d; d/tool args b")
        self.assertEqual((ran.shown[0], len(self.owner.requests)), (b"<a>\n<b>\n", 1))

    def test_max_warm_0(self):
        ran = self.by_prewarm("tool args a", "--max-warm", "0")
        self.assertEqual((ran.shown[0], self.owner.requests), (b"<a>\n", []))


class Failures(CoprocessTest):
    """Each command is run exactly once, or its status says that nobody knows."""

    SCRIPT = "tool count f; tool count f; wc -c <f; tool both | cat; x=$(tool exit 4); echo $?"

    def test_not_run(self):
        self.owner.mode = "refuse"
        self.same(self.SCRIPT, 4, {"coprocess": 4})

    def test_gone_before_it_has_read(self):
        self.owner.mode = "unread"
        self.same(self.SCRIPT, 0, {"coprocess": 4})

    def test_gone_without_an_answer(self):
        self.owner.mode = "vanish"
        ran = self.by_prewarm("tool count f; echo $?; ls")
        self.assertEqual(ran.shown[0], b"125\nfifo\ngate\nscript\n")
        self.assertEqual(ran.shown[1], b"prewarm: tool: the owner of its workers has ended\n")
        self.assertEqual(len(self.owner.requests), 1)

    def test_gone_with_a_signal_unread(self):
        self.owner.mode = "vanish with a signal unread"
        ran = self.by_prewarm("tool count f; echo $?; ls")
        self.assertEqual(ran.shown[0], b"125\nfifo\ngate\nscript\n")

    def test_nobody_serves(self):
        """And nobody can be started: the declared directory for sockets is none."""
        (self.place / "none").touch()
        self.environment["PREWARM_RUNTIME_DIR"] = str(self.place / "none")
        self.same(self.SCRIPT, 0, {"coprocess": 4})

    def test_bad_declarations(self):
        self.declarations.write_text("[command.tool]\nworker = 3\n")
        ran = self.by_prewarm("tool args a; (tool args b)")
        self.assertEqual(ran.shown[0], b"<a>\n<b>\n")
        message = ran.shown[1].decode()
        self.assertIn(f"{self.declarations}:2: command.tool.worker: no such key", message)
        self.assertEqual(message.count("\n"), 1)
        self.assertEqual(self.owner.requests, [])

    def test_no_declarations(self):
        self.declarations.unlink()
        ran = self.by_prewarm("tool args a")
        self.assertEqual(ran.shown, (b"<a>\n", b"", 0))
        self.assertEqual(self.owner.requests, [])

    def test_a_missing_program(self):
        self.declarations.write_text("[command.none]\n[command.empty]\n")
        (self.place / "bin" / "empty").touch(0o644)
        self.same("none x; echo $?; \"$HOME\"/bin/empty; echo $?; none | cat; echo $?", 0)
        self.assertEqual(self.ran.reasons("empty"), {"not_a_file": 1})


class Ends(CoprocessTest):
    def tearDown(self):
        """Nothing is left: what a run leaves behind becomes a child of this process."""
        with self.assertRaises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)

    def test_many_at_once(self):
        self.same("for i in {1..40}; do tool args $i >o$i & done; wait; cat o* | sort", 40)

    def test_the_script_is_killed(self):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        directory = self.place / "work"
        directory.mkdir()
        (directory / "script").write_text(HEAD + "tool hold fifo gate")
        process = subprocess.Popen(
            [PREWARM, "run", "script"], cwd=directory, env=self.environment, start_new_session=True
        )
        while not (directory / "fifo").exists():
            os.sched_yield()
        with open(directory / "fifo") as ready:
            ready.read()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(BOUND)
        for thread in self.owner.finishing:
            thread.join(BOUND)
            self.assertFalse(thread.is_alive(), "the request goes on without its script")
        while True:
            try:
                os.wait()
            except ChildProcessError:
                break


if __name__ == "__main__":
    unittest.main()
