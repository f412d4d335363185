# SPDX-License-Identifier: MIT
"""Get the Debian source of the bash that is installed."""

import debian_archive
from debian_archive import Unavailable  # noqa: F401  (for those who import it from here)


def fetch(directory):
    """The unpacked source tree of the installed bash in directory, fetched if need be."""
    version = debian_archive.source_version("bash")
    tree = f"bash-{debian_archive.upstream_version(version)}"
    return debian_archive.fetch_source(directory, "bash", version, tree, "tests/run-all")
