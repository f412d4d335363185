# SPDX-License-Identifier: MIT
"""A loader service beside the runs, which has programs of any size start from images."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from . import place

BOUND_S = 60


class Service:
    def __init__(self, prewarm):
        self.prewarm = pathlib.Path(prewarm).resolve()
        self.directory = tempfile.mkdtemp(prefix="corpus-images-")
        self.process = None

    def _environment(self):
        return {"PREWARM_RUNTIME_DIR": self.directory, "HOME": self.directory, "PATH": place.PATH}

    def __enter__(self):
        self.process = subprocess.Popen(
            [self.prewarm.with_name("prewarmd"), "--enough-regions", "0", "--builder",
             self.prewarm, "image", "build"],
            env=self._environment(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        place.more_environment["PREWARM_RUNTIME_DIR"] = self.directory
        return self

    def starts(self):
        """How many, of programs as they are and of those that are parked."""
        listed = subprocess.run([self.prewarm, "image", "ls", "--json"], env=self._environment(),
                                capture_output=True, check=True, timeout=BOUND_S)
        counts = {"plain": 0, "parked": 0}
        for image in json.loads(listed.stdout)["images"]:
            counts["parked" if image.get("preloaded") else "plain"] += image.get("served", 0)
        return counts

    def __exit__(self, *_):
        del place.more_environment["PREWARM_RUNTIME_DIR"]
        self.process.terminate()
        self.process.wait(BOUND_S)
        shutil.rmtree(self.directory, ignore_errors=True)
