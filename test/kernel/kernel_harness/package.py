# SPDX-License-Identifier: MIT
"""Debian's kernel, from its package, which is unpacked and never installed."""

import os
import re
import shutil
import subprocess


class NoKernel(Exception):
    """Why there is no kernel to boot."""


def _output(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise NoKernel(f"{' '.join(command)}: {result.stderr.strip()}")
    return result.stdout


def newest(release):
    """The package of the newest kernel of `release` (say, 6.1) for virtual machines."""
    pattern = rf"^linux-image-{re.escape(release)}[.-][^ ]*-cloud-amd64$"
    lines = _output("apt-cache", "search", "--names-only", pattern).splitlines()
    names = [line.split()[0] for line in lines]
    if not names:
        raise NoKernel(f"apt knows no cloud kernel {release}; try `apt-get update`")
    return max(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def kernel(release, cache):
    """The kernel's file, below the directory `cache`; fetched if it isn't there yet."""
    name = newest(release)
    image = cache / name / "vmlinuz"
    if image.exists():
        return image
    image.parent.mkdir(parents=True, exist_ok=True)
    # As whoever we are: apt's own user may not write there, and warns.
    apt = ["apt-get", "-qq", "-o", "APT::Sandbox::User=", "download", name]
    subprocess.run(apt, cwd=image.parent, check=True)
    (archive,) = image.parent.glob("*.deb")
    tree = image.parent / "tree"
    subprocess.run(["dpkg-deb", "-x", archive, tree], check=True)
    (found,) = tree.glob("boot/vmlinuz-*")
    os.rename(found, image)  # last: whoever finds it finds all of it
    shutil.rmtree(tree)
    archive.unlink()
    return image
