# SPDX-License-Identifier: MIT
"""Programs that only show what they do with another beside them: a server, a debugger."""

import functools
import http.server
import os
import re
import shutil
import subprocess
import threading

from image_suite import cases, launch


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass


class Curl:
    """Fetches from a server on this machine."""

    name = "curl-http"
    is_long = False

    @staticmethod
    def missing():
        return None if shutil.which("curl") else "curl is not installed"

    def compare(self, bench):
        root = bench.root / "served"
        root.mkdir()
        (root / "page").write_text("page\n" * 5000)
        handler = functools.partial(_Quiet, directory=str(root))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            url = f"http://127.0.0.1:{server.server_port}"
            case = cases.Case(self.name, ["curl", "-sS", "-o", "got", "-w", "%{http_code}\n",
                                          f"{url}/page", f"{url}/missing"])
            try:
                return cases.compare(bench, case)
            finally:
                server.shutdown()
                thread.join()


class Debugger:
    """gdb attaches to a process that was started from an image, and finds its way about."""

    name = "gdb-attach"
    is_long = True

    @staticmethod
    def missing():
        return None if shutil.which("gdb") else "gdb is not installed"

    def compare(self, bench):
        complaints = []
        case = cases.Case("debugged", ["cat"])
        plain = self._look(bench, [*bench.command(case)], True)
        if not any("libc.so.6" in line for line in plain):
            return [f"gdb says nothing of a plain process: {plain}"]
        for way in launch.ways():
            # Symbols of packed libraries are where the files have them no longer.
            got = self._look(bench, bench.images.command(way, bench.command(case)), way.is_direct)
            complaints += [f"{way.name}: {line}" for line in cases.diff("gdb", plain, got)]
        return complaints

    @staticmethod
    def _look(bench, command, is_direct):
        """What gdb says of a process that waits for input."""
        prepare = None if is_direct else launch.drop_capabilities
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              cwd=bench.root, preexec_fn=prepare) as process:
            process.stdin.write(b"here\n")
            process.stdin.flush()
            process.stdout.readline()  # it has got to its main
            try:
                done = subprocess.run(
                    ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-p",
                     str(process.pid), "-ex", "info sharedlibrary", "-ex", "bt", "-ex",
                     "info symbol malloc", "-ex", "print (int)getpid() > 1", "-ex",
                     "info threads"],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    text=True, check=False, timeout=launch.TIMEOUT_S)
            finally:
                process.stdin.close()
        text = done.stdout.replace(str(process.pid), "PID")
        text = re.sub(r"0x[0-9a-f]{6,}|LWP \w+", "ADDRESS", text)
        return [re.sub(r" +", " ", line) for line in text.splitlines()]


class Window:
    """A program with a window, on a display of its own."""

    is_long = True

    def __init__(self, name, command):
        self.name = name
        self._command = command

    def missing(self):
        for program in ("Xvfb", self._command[0]):
            if not shutil.which(program):
                return f"{program} is not installed"
        return None

    def compare(self, bench):
        read_end, write_end = os.pipe()
        home = bench.root / "display"
        home.mkdir(exist_ok=True)
        with subprocess.Popen(["Xvfb", "-displayfd", str(write_end), "-nolisten", "tcp", "-screen",
                               "0", "640x480x24"], pass_fds=(write_end,), cwd=home,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as server:
            os.close(write_end)
            with os.fdopen(read_end) as answer:
                display = answer.readline().strip()
            # Without the services of a desktop, which would be started, and outlive the test.
            environment = {"DISPLAY": f":{display}", "NO_AT_BRIDGE": "1", "GTK_A11Y": "none",
                           "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent"}
            case = cases.Case(self.name, self._command, environment=environment,
                              ignore=(r"^.*(?:WARNING|dbus|GLib|Gtk).*\n", r"\(\w+:\d+\)"),
                              ignore_files=("*",))
            try:
                return cases.compare(bench, case)
            finally:
                server.terminate()


def all_services():
    return [Curl(), Debugger(),
            Window("zenity", ["zenity", "--info", "--text=x", "--timeout=1"]),
            Window("xterm", ["xterm", "-e", "sh", "-c", "echo in the terminal > file; exit 3"])]


