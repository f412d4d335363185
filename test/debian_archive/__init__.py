# SPDX-License-Identifier: MIT
"""Fetch packages from Debian's archive for a test, without touching apt's set-up.

A sources list of our own, derived from the system's at run time (same mirrors, same
keys), and package lists in the caller's cache directory.
"""

import os
import pathlib
import pwd
import re
import subprocess

APT = pathlib.Path("/etc/apt")


class Unavailable(Exception):
    """It can't be had here: whatever needs it is skipped, with this as the reason."""


def source_version(package):
    """The version of the source that an installed package was built from, as "5.2.15-2"."""
    try:
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${source:Version}", package],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise Unavailable("dpkg-query is missing: not a Debian system") from None
    if done.returncode != 0 or not done.stdout:
        raise Unavailable(f"the installed {package} is not from a Debian package")
    return done.stdout.strip()


def upstream_version(version):
    """ "1:2.36-9+deb12u1" is Debian's ninth edition of 2.36."""
    return re.sub(r"-[^-]*$", "", version.partition(":")[2] or version)


def _stanzas(text):
    """The stanzas of a deb822 file, each as {field in lower case: value}."""
    for block in re.split(r"\n\s*\n", text):
        fields, name = {}, None
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields:
            yield fields


def _from_stanza(fields):
    types = fields.get("types", "").split()
    if fields.get("enabled", "yes").lower() == "no" or not {"deb", "deb-src"} & set(types):
        return None
    names = {"uris": "URIs", "suites": "Suites", "components": "Components"}
    lines = ["Types: deb deb-src"]
    lines += [f"{name}: {fields[key]}" for key, name in names.items() if key in fields]
    if "signed-by" in fields:
        lines.append(f"Signed-By: {fields['signed-by']}")
    return "\n".join(lines)


def _from_line(line):
    """The same from the one-line format: deb [options] URI SUITE COMPONENT…"""
    match = re.match(r"\s*deb(?:-src)?\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)", line)
    if not match:
        return None
    options, uri, suite, components = match.groups()
    lines = ["Types: deb deb-src", f"URIs: {uri}", f"Suites: {suite}", f"Components: {components}"]
    signed = re.search(r"signed-by=(\S+)", options or "")
    if signed:
        lines.append(f"Signed-By: {signed.group(1)}")
    return "\n".join(lines)


def _codename():
    text = pathlib.Path("/etc/os-release").read_text()
    match = re.search(r'^VERSION_CODENAME="?(\w+)', text, re.MULTILINE)
    return match.group(1) if match else ""


def _entries(apt=APT, codename=None):
    """Stanzas, with sources, for what the system takes its own packages from."""
    entries = []
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        entries += [_from_stanza(fields) for fields in _stanzas(path.read_text())]
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    for path in lists:
        if path.exists():
            entries += [_from_line(line) for line in path.read_text().splitlines()]
    # Third parties' archives have other suites, and not these packages.
    wanted = re.compile(rf"^Suites:.*\b{codename or _codename()}", re.MULTILINE)
    return [entry for entry in entries if entry and wanted.search(entry)]


def _apt(directory, *words):
    lists = directory / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    (directory / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::Etc::SourceList": directory / "archive.sources",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": lists,
        "Dir::Cache": directory,
        "Dir::Cache::Archives": directory / "archives",
        # The cache directory is ours, and perhaps not readable for apt's own user.
        "APT::Sandbox::User": pwd.getpwuid(os.getuid()).pw_name,
        "APT::Update::Error-Mode": "any",  # else an archive out of reach is a warning
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        "Acquire::http::Timeout": "20",
        "Acquire::https::Timeout": "20",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    try:
        done = subprocess.run(
            ["apt-get", "-qq", *options, *words],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    except FileNotFoundError:
        raise Unavailable("apt-get is missing: not a Debian system") from None
    except subprocess.TimeoutExpired:
        raise Unavailable("apt-get took too long to answer") from None
    if done.returncode != 0:
        message = (done.stderr.strip() or "no message").splitlines()[-1]
        raise Unavailable(f"apt-get {words[0]}: {message}")


def _update(directory):
    entries = _entries()
    if not entries:
        raise Unavailable("apt knows no archive of this release")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "archive.sources").write_text("\n\n".join(entries) + "\n")
    _apt(directory, "update")


def fetch_source(directory, package, version, tree, probe):
    """directory/tree, unpacked from the package's upstream archive, fetched if need be.

    probe is a file in it: if that is there the tree is taken for whole.
    """
    directory = pathlib.Path(directory).absolute()
    if (directory / tree / probe).exists():
        return directory / tree
    _update(directory)
    _apt(directory, "source", "--download-only", f"{package}={version}")
    pattern = f"{package}_{upstream_version(version)}.orig.tar.*"
    archives = [path for path in sorted(directory.glob(pattern)) if path.suffix != ".asc"]
    if not archives:
        raise Unavailable(f"apt-get fetched no archive of {package} {version}")
    # Debian 12's tarfile can't be told what it may not make (`filter` came with Python 3.11.4).
    subprocess.run(["tar", "-xf", archives[0], "-C", directory, "--no-same-owner"], check=True)
    if not (directory / tree / probe).exists():
        raise Unavailable(f"{package}'s archive has no {tree}/{probe}")
    return directory / tree


def fetch_binary(directory, package, probe):
    """directory/package, the unpacked files of a binary package, which is not installed."""
    directory = pathlib.Path(directory).absolute()
    tree = directory / package
    if (tree / probe).exists():
        return tree
    _update(directory)
    _apt(directory, "download", package)
    archives = sorted(directory.glob(f"{package}_*.deb"))
    if not archives:
        raise Unavailable(f"apt-get fetched no {package}")
    try:
        subprocess.run(["dpkg-deb", "-x", archives[-1], tree], check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"{package} can't be unpacked: {error}") from None
    if not (tree / probe).exists():
        raise Unavailable(f"{package} has no {probe}")
    return tree
