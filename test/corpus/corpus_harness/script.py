# SPDX-License-Identifier: MIT
"""A corpus script and the directives in its header comment.

The header is every comment line before the first line that is none. Directives:

  # args: WORD…          arguments, split as a shell would
  # stdin: TEXT          one line of standard input; may be repeated (default: /dev/null)
  # stdin-as: file|pipe  how the input, or a script of mode stdin, is given (default: file)
  # mode: file|stdin|command
                         bash FILE (default), bash < FILE, bash -c "$(cat FILE)"
  # env: NAME=VALUE      one more environment variable; may be repeated
  # needs: PROGRAM…      the script is skipped where one of these is missing
"""

import dataclasses
import os
import pathlib
import shlex

FORMS = ("file", "stdin", "command")


class HeaderError(ValueError):
    """A directive that can't be understood: a fault of the script."""


@dataclasses.dataclass
class Script:
    name: str
    path: pathlib.Path
    text: bytes
    args: list
    stdin: bytes  # b"" stands for /dev/null
    stdin_as: str
    mode: str
    env: dict
    needs: list

    def form_applies(self, form):
        """Whether this script can be run in that form and still mean the same."""
        if form == self.mode:
            return True
        if form == "command":
            return b"\0" not in self.text  # which no argument can hold
        # A script on stdin leaves no room for input of its own, and plain
        # `bash < FILE` takes no arguments.
        return form != "stdin" or not (self.stdin or self.args)


def _directives(text):
    for line in text.decode("utf-8", "surrogateescape").splitlines():
        if not line.startswith("#"):
            return
        key, colon, value = line[1:].strip().partition(":")
        if colon and key in ("args", "stdin", "stdin-as", "mode", "env", "needs"):
            yield key, value[1:] if value.startswith(" ") else value


def _chosen(key, value, allowed):
    if value not in allowed:
        raise HeaderError(f"{key}: {value!r} is none of {', '.join(allowed)}")
    return value


def load(path):
    text = path.read_bytes()
    script = Script(path.stem, path, text, [], b"", "file", "file", {}, [])
    for key, value in _directives(text):
        if key == "args":
            script.args += shlex.split(value)
        elif key == "stdin":
            script.stdin += os.fsencode(value) + b"\n"
        elif key == "stdin-as":
            script.stdin_as = _chosen(key, value, ("file", "pipe"))
        elif key == "mode":
            script.mode = _chosen(key, value, FORMS)
        elif key == "env":
            name, _, setting = value.partition("=")
            script.env[name] = setting
        else:
            script.needs += value.split()
    return script


def load_all(directory, name_filters):
    """Every script whose name contains one of the filters (all, without any)."""
    scripts = [load(path) for path in sorted(directory.glob("*.sh"))]
    if not name_filters:
        return scripts
    return [s for s in scripts if any(part in s.name for part in name_filters)]
