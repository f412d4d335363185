#!/bin/bash
# SPDX-License-Identifier: MIT
#
# How lambda-demo fails: runtimes that misbehave in one way each, and the status
# and message that each must lead to; and that nothing is left behind.
#
# usage: demo_test.sh PATH-OF-lambda-demo
#
# The scripts below are text here, to be expanded by another bash:
# shellcheck disable=SC2016

set -uo pipefail

DEMO=$1
DIR=$(mktemp -d) || exit 1
trap 'rm -rf "$DIR"' EXIT
export TMPDIR=$DIR/tmp
mkdir "$TMPDIR"
FAILED=0

# expect NAME STATUS TEXT ARGUMENT...: runs the demo with these arguments.
expect() {
  local name=$1 status=$2 text=$3 output got
  shift 3
  output=$("$DEMO" --count 2 --warmup 0 "$@" 2>&1)
  got=$?
  if ((got != status)) || [[ $output != *"$text"* ]]; then
    echo "FAILED $name: expected status $status and '$text', got status $got and:" "$output"
    FAILED=1
  fi
  if [[ -n $(ls -A "$TMPDIR") ]]; then
    echo "FAILED $name: left behind:" "$TMPDIR"/*
    FAILED=1
  fi
}

# expect_of_script NAME STATUS TEXT: runs bash alone with the script on stdin,
# which may use `ask` (sets ID; false at the end) and `send PATH BODY`.
expect_of_script() {
  local script="$DIR/$1.sh"
  {
    cat <<'PRELUDE'
NEXT=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next
ask() {
  curl -sS -D "$TMPDIR/head" -o /dev/null "$NEXT"
  ID=$(sed -n 's/^Lambda-Runtime-Aws-Request-Id: *//p' "$TMPDIR/head" | tr -d '\r')
  rm "$TMPDIR/head"
  [[ $ID ]]
}
send() { curl -sS -o /dev/null "${NEXT%next}$1" -d "$2"; }
PRELUDE
    cat
  } >"$script"
  expect "$1" "$2" "$3" --runtimes bash --script "$script" --timeout 2
}

expect 'no prewarm' 2 "cannot run $DIR/none" --prewarm "$DIR/none"
expect 'no script' 2 "cannot read $DIR/none" --script "$DIR/none"
expect 'unknown runtime' 2 'perl' --runtimes bash,perl
expect 'runtime named twice' 2 'named twice' --runtimes bash,bash
expect 'unknown option' 2 'not expected' --fast
expect 'C++ alone' 0 '2/2' --runtimes cpp

expect_of_script 'ends at once' 1 'runtime bash: it ended with status 7' <<<'echo oops >&2; exit 7'
expect_of_script 'shows output' 1 'oops' <<<'echo oops >&2; exit 7'
expect_of_script 'hangs' 1 'waited 2 s in vain for an answer to event 1' <<<'ask; read -r _ < <(sleep 60)'
expect_of_script 'ends in mid-event' 1 'was killed by SIGKILL' <<<'ask; kill -9 $$'
expect_of_script 'wrong answer' 1 'wrong answer' <<<'while ask; do send "$ID/response" x; done'
expect_of_script 'answers twice' 1 'second response' \
  <<<'while ask; do send "$ID/response" x; send "$ID/response" x; done'
expect_of_script 'unknown id' 1 'unknown request id' <<<'while ask; do send 1/response x; done'
expect_of_script 'invocation error' 1 'reported an error' <<<'while ask; do send "$ID/error" x; done'
expect_of_script 'init error' 1 'cannot start: no' <<<'send ../init/error no; read -r _ < <(sleep 60)'
expect_of_script 'leaves a file' 1 'temporary file behind' <<<'while ask; do send "$ID/response" x; done; >"$TMPDIR/x"'
expect_of_script 'ends badly' 1 'after the last event it ended with status 3' \
  <<<'while ask; do send "$ID/response" x; done; exit 3'

exit "$FAILED"
