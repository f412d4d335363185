#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Usage: lint.sh [--batch] DIRECTORY
#
# Runs Debian's pycodestyle over each Python file below DIRECTORY, one invocation for each file, as
# an editor, a hook or a build does. pycodestyle knows nothing of prewarm: a python3 that has it
# imported is held, and each invocation is a fork of that. With --batch each is an ordinary process.
set -euo pipefail

readonly prewarm=${PREWARM:-prewarm}
readonly python=/usr/bin/python3 # whose packages Debian's pycodestyle is among

if [[ ${1-} == --batch ]]; then
  call=(xargs -0 -n 1 -P "$(nproc)" "$python")
  shift
else
  call=("$prewarm" call --progress -0 --preload pycodestyle "$python")
fi
if (($# != 1)) || [[ ! -d $1 ]]; then
  echo "usage: lint.sh [--batch] DIRECTORY" >&2
  exit 2
fi
find "$1" -name '*.py' -print0 | "${call[@]}" -m pycodestyle --max-line-length=100
