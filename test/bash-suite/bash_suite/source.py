# SPDX-License-Identifier: MIT
"""Get the Debian source of the bash that is installed, without touching apt's set-up.

A sources list of our own, derived from the system's at run time (same mirrors, same
keys, deb-src in place of deb), and package lists in the cache directory.
"""

import os
import pathlib
import pwd
import re
import subprocess
import tarfile

APT = pathlib.Path("/etc/apt")


class Unavailable(Exception):
    """The source can't be had here: the suite is skipped, with this as the reason."""


def installed_version():
    """The source version of the installed bash, as "5.2.15-2"."""
    try:
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${source:Version}", "bash"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise Unavailable("dpkg-query is missing: not a Debian system") from None
    if done.returncode != 0 or not done.stdout:
        raise Unavailable("the installed bash is not from a Debian package")
    return done.stdout.strip()


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
    lines = ["Types: deb-src"]
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
    lines = ["Types: deb-src", f"URIs: {uri}", f"Suites: {suite}", f"Components: {components}"]
    signed = re.search(r"signed-by=(\S+)", options or "")
    if signed:
        lines.append(f"Signed-By: {signed.group(1)}")
    return "\n".join(lines)


def _codename():
    text = pathlib.Path("/etc/os-release").read_text()
    match = re.search(r'^VERSION_CODENAME="?(\w+)', text, re.MULTILINE)
    return match.group(1) if match else ""


def source_entries(apt=APT, codename=None):
    """deb-src stanzas for what the system takes its own packages from."""
    entries = []
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        entries += [_from_stanza(fields) for fields in _stanzas(path.read_text())]
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    for path in lists:
        if path.exists():
            entries += [_from_line(line) for line in path.read_text().splitlines()]
    # Third parties' archives have other suites; they have no bash.
    wanted = re.compile(rf"^Suites:.*\b{codename or _codename()}", re.MULTILINE)
    return [entry for entry in entries if entry and wanted.search(entry)]


def _apt(directory, *words):
    lists = directory / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    (directory / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::Etc::SourceList": directory / "bash.sources",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": lists,
        "Dir::Cache": directory,
        "Dir::Cache::Archives": directory / "archives",
        # The cache directory is ours, and perhaps not readable for apt's own user.
        "APT::Sandbox::User": pwd.getpwuid(os.getuid()).pw_name,
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


def _unpack(directory, upstream):
    archives = sorted(directory.glob(f"bash_{upstream}.orig.tar.*"))
    archives = [path for path in archives if not path.name.endswith(".asc")]
    if not archives:
        raise Unavailable(f"apt-get fetched no archive of bash {upstream}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(directory, filter="data")


def fetch(directory):
    """The unpacked source tree of the installed bash in directory, fetched if need be."""
    directory = pathlib.Path(directory).absolute()
    version = installed_version()
    upstream = re.sub(r"-[^-]*$", "", version.partition(":")[2] or version)
    tree = directory / f"bash-{upstream}"
    if (tree / "tests" / "run-all").exists():
        return tree
    entries = source_entries()
    if not entries:
        raise Unavailable("apt knows no archive of this release to fetch bash's source from")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "bash.sources").write_text("\n\n".join(entries) + "\n")
    _apt(directory, "update")
    _apt(directory, "source", "--download-only", f"bash={version}")
    _unpack(directory, upstream)
    if not (tree / "tests" / "run-all").exists():
        raise Unavailable(f"bash's archive has no tests where they were expected ({tree})")
    return tree
