#!/bin/sh
# SPDX-License-Identifier: MIT
#
# shellcheck disable=SC2317,SC2031 # prewarm_serve calls these, in its subshell
#
# The conformance tool (../README.md) in the shell.

# shellcheck source=sdk/sh/prewarm.sh
. "$(dirname "$0")/../../../sdk/sh/prewarm.sh"

show_env() {
  for name in "$@"; do
    if eval "[ -n \"\${$name+set}\" ]"; then
      eval "printf '%s=%s\\0' \"\$name\" \"\$$name\""
    else
      printf '%s\0' "$name"
    fi
  done
}

mix() {
  i=1
  while [ "$i" -le "$1" ]; do
    echo "o$i"
    echo "e$i" >&2
    i=$((i + 1))
  done
}

kill_self() {
  # $$ is the worker; this is the subshell.
  sh -c 'kill -"$1" "$PPID"' kill "$1"
  sleep 60
}

child_fds() {
  # shellcheck disable=SC2012,SC2016
  sh -c 'echo $(ls /proc/$$/fd | sort -n)'
}

main() {
  command=$1
  shift
  # shellcheck disable=SC2154 # prewarm_name: set by prewarm.sh
  case $command in
    argv) [ "$#" -eq 0 ] || printf '%s\0' "$@" ;;
    name) printf '%s\n' "$prewarm_name" ;;
    env) show_env "$@" ;;
    pwd) pwd -P ;;
    umask) printf '%04o\n' "0$(umask)" ;;
    cat) cat ;;
    line) head -n 1 ;;
    out) printf '%s' "$1" ;;
    out-exit) printf '%s' "$1" && exit "$2" ;;
    err) printf '%s' "$1" >&2 ;;
    mix) mix "$1" ;;
    big) head -c "$1" /dev/zero | tr '\0' x ;;
    exit | quit) exit "$1" ;;
    kill) kill_self "$1" ;;
    fail)
      echo "tool: $1" >&2
      exit 1
      ;;
    soil)
      umask 0111
      cd /
      export CONFORM_SOILED=1
      ;;
    pause)
      echo ready
      cat >/dev/null
      ;;
    leave) setsid cat "$1" </dev/null & ;;
    child-fds) child_fds ;;
    *)
      echo "tool: no such command: $command" >&2
      exit 1
      ;;
  esac
}

prewarm_serve main "$@"
