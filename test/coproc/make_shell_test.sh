#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Usage: make_shell_test.sh PREWARM PREWARM-SH
#
# make with a shell that stays: the recipes' output, order and status are those of /bin/sh, and one
# worker has run them all.
set -euo pipefail

readonly prewarm=$1 shell=$2
scratch=$(mktemp -d)
readonly scratch
export PREWARM_RUNTIME_DIR=$scratch/runtime
trap '"$prewarm" pool stop; rm -rf "$scratch"' EXIT
cd "$scratch"

cat >Makefile <<'MAKEFILE'
all: words sums fails
words: ; @echo "one  two" '$$HOME' > words; cat words; pwd | sed 's/.*/there/'
sums: words ; @x=3; for i in 1 2; do echo $$((i + x)); done > sums && cat sums
fails: sums ; @false || echo recovered >&2; exit 3
MAKEFILE

# run NAME ARGUMENTS...: output, errors and status of a make with these arguments.
run() {
  local name=$1 status=0
  shift
  rm -f words sums
  make "$@" >"$name" 2>&1 || status=$?
  echo "status $status" >>"$name"
}
run plain
run stays SHELL="$prewarm" .SHELLFLAGS="call $shell -c"
diff plain stays
if ! grep -q 'status 2' stays || ! grep -q '^one  two' stays; then
  echo "the recipes have not run" >&2
  exit 1
fi
"$prewarm" pool stats --json >seen.json
if ! grep -q '"started": 1,' seen.json || ! grep -q '"requests": 3,' seen.json; then
  echo "not by one worker:" >&2
  cat seen.json >&2
  exit 1
fi
