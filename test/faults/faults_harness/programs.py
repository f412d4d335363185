# SPDX-License-Identifier: MIT
"""Small C programs, compiled as a case needs them."""

import os
import pathlib
import shutil
import subprocess

from .cases import Failed, need

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "programs"


def compile_program(output, source, *flags, compiler="cc"):
    """Compiles programs/SOURCE to `output`, put in place by a rename."""
    need(shutil.which(compiler), f"there is no {compiler}")
    made = f"{output}.new"
    command = [compiler, "-O1", "-o", made, str(SOURCES / source), *flags]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Failed(f"{' '.join(command)}:\n{result.stderr}")
    os.rename(made, output)
    return pathlib.Path(output)


def can_compile(directory, *flags, compiler="cc"):
    """Whether this machine can make and run such programs at all."""
    if not shutil.which(compiler):
        return False
    probe = pathlib.Path(directory) / "probe"
    (probe.with_suffix(".c")).write_text("int main(void) { return 0; }\n")
    command = [compiler, "-o", str(probe), str(probe.with_suffix(".c")), *flags]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return False
    try:
        return subprocess.run([str(probe)], check=False).returncode == 0
    except OSError:
        return False


def on_path(directory):
    """Conditions under which programs in `directory` are found first and may be parked."""
    from .runs import PATH

    return {"PATH": f"{directory}:{PATH}", "PREWARM_PARK_DIRS": str(directory)}
