#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Usage: lint_test.sh PREWARM [FILES]
#
# The example finds the same, held or not, in so many files (30). Exits with 77, which skips the
# test, if pycodestyle is not installed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
export PREWARM=$1
readonly files=${2:-30}

if ! /usr/bin/python3 -c 'import pycodestyle' 2>/dev/null; then
  echo "pycodestyle is not installed" >&2
  exit 77
fi
scratch=$(mktemp -d)
readonly scratch
export PREWARM_RUNTIME_DIR=$scratch/runtime
# Invocations write to one file at once: without a buffer, a line and its end are two writes, between
# which others come, held or not.
unset PYTHONUNBUFFERED
trap '"$PREWARM" pool stop; rm -rf "$scratch"' EXIT

mkdir "$scratch/code"
readonly endings=('import os,sys' 'x=1' '' 'def f( a ): return a')
for ((i = 0; i < files; ++i)); do
  printf '%s\n' "value_$i = $i" "${endings[i % ${#endings[@]}]}" >"$scratch/code/file_$i.py"
done

# Some files have something to complain about: 123, as of xargs.
run() {
  local status=0
  "$here/lint.sh" "$@" "$scratch/code" >"$scratch/out" 2>"$scratch/err" || status=$?
  sort "$scratch/out"
  cat "$scratch/err"
  echo "status $status"
}
run --batch >"$scratch/batch"
run >"$scratch/held"
diff "$scratch/batch" "$scratch/held"
if ! grep -q "status 123" "$scratch/held" || (($(wc -l <"$scratch/held") < files)); then
  echo "too little was found:" >&2
  cat "$scratch/held" >&2
  exit 1
fi
served=$("$PREWARM" pool stats --json | grep -c '"served": [1-9]')
if ((served == 0)); then
  echo "nothing was served by a held interpreter" >&2
  exit 1
fi
