#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Usage: examples_test.sh DIRECTORY-OF-THE-EXAMPLES. Runs each, and compares what it says.
set -euo pipefail

readonly examples=$1
scratch=$(mktemp -d)
readonly scratch
trap 'rm -rf "$scratch"' EXIT

failures=0

# expect NAME WANTED-STATUS WANTED-OUTPUT COMMAND...: both streams count, and wanted is a pattern.
expect() {
  local name=$1 wanted_status=$2 wanted=$3 status=0 output
  shift 3
  output=$("$@" 2>&1) || status=$?
  # shellcheck disable=SC2053  # a pattern
  if [[ $status != "$wanted_status" || $output != $wanted ]]; then
    printf '%s: status %d, not %d; output:\n%s\n--- wanted:\n%s\n' \
      "$name" "$status" "$wanted_status" "$output" "$wanted"
    failures=$((failures + 1))
  fi
}

printf 'b\na\n' >"$scratch/lines"
seq 40 >"$scratch/numbers"
printf 'to be or\nnot to be\n' >"$scratch/text"

# Every line has its own program, and they don't get in each other's way.
expect parallel-all 0 '' "$examples/parallel" 4 touch <<<"$scratch/made.1
$scratch/made.2
$scratch/made.3"
expect parallel-made 0 "$scratch/made.1
$scratch/made.2
$scratch/made.3" printf '%s\n' "$scratch"/made.*
expect parallel-failures 40 '' "$examples/parallel" 3 test 0 -gt <"$scratch/numbers"
expect parallel-missing 2 '' "$examples/parallel" 3 /nowhere/program <"$scratch/lines"

expect capture-sort 0 'status: exited with 0
output: 4 bytes
a
b
errors: 0 bytes
memory: * KiB' "$examples/capture" sort <"$scratch/lines"
expect capture-signal 1 'status: killed by SIGTERM
output: 0 bytes
errors: 3 bytes
oh
memory: * KiB' "$examples/capture" sh -c 'echo oh >&2; kill -TERM $$' </dev/null
# shellcheck disable=SC2016  # for that shell
expect capture-missing 127 'capture: search PATH for no-such-program: No such file or directory' \
  "$examples/capture" no-such-program </dev/null

expect pipeline 0 '      2 be
      1 not
      1 or
      2 to' "$examples/pipeline" "$scratch/text"
expect pipeline-missing 1 'open /nowhere/text: No such file or directory' \
  "$examples/pipeline" /nowhere/text

expect sandbox-probe 0 'hello' "$examples/sandbox" echo hello
expect sandbox-writes 2 "*Permission denied*sandbox: it exited with 2" \
  "$examples/sandbox" sh -c "echo x >$scratch/forbidden"
expect sandbox-socket 1 '*Permission denied*' "$examples/sandbox" bash -c 'echo >/dev/tcp/127.0.0.1/9'
expect sandbox-processor 1 'sandbox: it killed by SIG*' "$examples/sandbox" sh -c 'while :; do :; done'

expect ring 0 '*job 1: exited with 0*' "$examples/ring" "$scratch/one" "$scratch/two"
expect ring-missing 0 '*job 2: No such file or directory*' \
  "$examples/ring" "$scratch/one" "$scratch/two"
expect ring-file 0 '/' cat "$scratch/one"
expect command 0 'LOUD' "$examples/command" loud

exit "$((failures > 0))"
