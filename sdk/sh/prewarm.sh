# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# A shell script as a coprocess, by FCLI (docs/protocol/fcli.md). For any POSIX shell:
#
#     . prewarm.sh
#     prewarm_serve main "$@"
#
# Started by nobody in particular: main "$@", and its status is the script's. Started as a worker: for
# each invocation ( main ARGUMENTS… ) in a subshell, with the caller's directory, umask, environment and
# streams; $prewarm_name is the name by which the tool was called. Names that begin with prewarm_ are
# taken. README.md says what a shell can't do.

prewarm_nl='
'
prewarm_tab='	'
prewarm_lower=abcdefghijklmnopqrstuvwxyz

prewarm_serve() {
  prewarm_function=$1
  shift
  if [ -z "${FCLI_VERSION-}" ] || [ -z "${FCLI_REQUEST_FIFO-}" ] || [ -z "${FCLI_RESPONSE_FIFO-}" ]; then
    prewarm_name=$0
    "$prewarm_function" "$@"
    exit
  fi
  exec 3<"$FCLI_REQUEST_FIFO" 4>"$FCLI_RESPONSE_FIFO"
  unset FCLI_VERSION FCLI_REQUEST_FIFO FCLI_RESPONSE_FIFO
  prewarm_base=$(pwd -P)
  while prewarm_line= && IFS= read -r prewarm_line <&3; do
    prewarm_request
  done
  # A line without its end is the end inside a message.
  [ -z "$prewarm_line" ] || exit 1
  exit 0
}

# Reads the rest of the message whose header is in prewarm_line, and answers it. Fields are kept as they
# came, a line each, until it is known what they are for: as such they have no line feed in them.
prewarm_request() {
  prewarm_type=${prewarm_line%% *}
  prewarm_rest=${prewarm_line#* }
  prewarm_id=${prewarm_rest%% *}
  prewarm_count=${prewarm_rest#* }
  [ "$prewarm_line" = "$prewarm_type $prewarm_id $prewarm_count" ] || exit 1
  prewarm_check_name "$prewarm_type"
  prewarm_check_number "$prewarm_id" 4294967295
  prewarm_check_number "$prewarm_count" 131072
  prewarm_fields=
  prewarm_left=$prewarm_count
  while [ "$prewarm_left" -gt 0 ]; do
    IFS= read -r prewarm_line <&3 || exit 1
    prewarm_check_field
    prewarm_fields=$prewarm_fields$prewarm_line$prewarm_nl
    prewarm_left=$((prewarm_left - 1))
  done
  case $prewarm_type in
    argv) prewarm_argv ;;
    echo) printf '%s\n%s' "echo $prewarm_id $prewarm_count" "$prewarm_fields" >&4 ;;
    flush) prewarm_status 0 ;;
    version) prewarm_version ;;
    cd) prewarm_cd ;;
    env) prewarm_env ;;
    *) prewarm_error unknown-request "this worker doesn't know $prewarm_type" ;;
  esac
}

prewarm_check_name() {
  case $1 in
    '' | [!$prewarm_lower]* | *[!"$prewarm_lower"0123456789-]*) exit 1 ;;
  esac
  [ "${#1}" -le 31 ] || exit 1
}

prewarm_check_number() {
  case $1 in
    '' | *[!0123456789]* | 0?*) exit 1 ;;
  esac
  [ "${#1}" -le 10 ] && [ "$1" -le "$2" ] || exit 1
}

prewarm_check_field() {
  case $prewarm_line in
    *' '*) ;;
    *) exit 1 ;;
  esac
  prewarm_check_name "${prewarm_line%% *}"
  case $prewarm_line in
    *\\*) prewarm_decode "${prewarm_line#* }" ;;
  esac
}

# Sets prewarm_value to what an escaped value means; what is no escape ends the worker.
prewarm_decode() {
  prewarm_value=
  prewarm_tail=$1
  if [ "${#1}" -gt 4000 ]; then
    # Faster for long ones, but needs processes.
    case $(printf '%s\n' "$1" | LC_ALL=C sed 's/\\[\\n]//g') in
      *\\*) exit 1 ;;
    esac
    prewarm_value=$(printf '%b.' "$1")
    prewarm_value=${prewarm_value%.}
    return
  fi
  while :; do
    case $prewarm_tail in
      *\\*) ;;
      *) break ;;
    esac
    prewarm_value=$prewarm_value${prewarm_tail%%\\*}
    prewarm_tail=${prewarm_tail#*\\}
    case $prewarm_tail in
      n*) prewarm_value=$prewarm_value$prewarm_nl ;;
      \\*) prewarm_value=$prewarm_value\\ ;;
      *) exit 1 ;;
    esac
    prewarm_tail=${prewarm_tail#?}
  done
  prewarm_value=$prewarm_value$prewarm_tail
}

prewarm_status() {
  printf 'status %s 1\nexit %s\n' "$prewarm_id" "$1" >&4
}

prewarm_error() {
  printf 'error %s 2\nreason %s\nmessage %s\n' "$prewarm_id" "$1" "$2" >&4
}

# Calls $1 with the decoded value of each field as prewarm_value, its name in prewarm_field. Words are
# split at line feeds meanwhile, because that is the fast way through the fields.
prewarm_each() {
  set -f
  IFS=$prewarm_nl
  for prewarm_line in $prewarm_fields; do
    prewarm_field=${prewarm_line%% *}
    prewarm_value=${prewarm_line#* }
    case $prewarm_value in
      *\\*) prewarm_decode "$prewarm_value" ;;
    esac
    "$1"
  done
  set +f
  IFS=" $prewarm_tab$prewarm_nl"
}

prewarm_version() {
  prewarm_common=
  prewarm_each prewarm_version_field
  case $prewarm_common in
    1) printf 'version %s 2\nversion 1\nimplementation prewarm-sh 0.1.0\n' "$prewarm_id" >&4 ;;
    *) prewarm_error version 'this worker speaks version 1' ;;
  esac
}

prewarm_version_field() {
  [ "$prewarm_field $prewarm_value" != 'version 1' ] || prewarm_common=1
}

prewarm_cd() {
  prewarm_cwd=
  prewarm_each prewarm_single_field
  case $prewarm_cwd in
    /*) ;;
    *)
      prewarm_error message 'cd wants an absolute path'
      return
      ;;
  esac
  if command cd -P -- "$prewarm_cwd" 2>/dev/null; then
    prewarm_base=$prewarm_cwd
    prewarm_status 0
  else
    printf 'status %s 2\nexit 1\nmessage the directory cannot be entered\n' "$prewarm_id" >&4
  fi
}

prewarm_env() {
  prewarm_bad=
  prewarm_each prewarm_look_env
  if [ -n "$prewarm_bad" ]; then
    prewarm_error message 'env wants NAME=VALUE'
    return
  fi
  prewarm_set_env
  prewarm_status 0
}

# Does the environment begin empty? Is there something that is none?
prewarm_look_env() {
  case $prewarm_field in
    clear-env) prewarm_clear=1 ;;
    env)
      case $prewarm_value in
        =* | '') prewarm_bad=1 ;;
        *=*) ;;
        *) prewarm_bad=1 ;;
      esac
      ;;
  esac
}

prewarm_set_env() {
  prewarm_clear=
  prewarm_each prewarm_look_env
  [ -z "$prewarm_clear" ] || prewarm_unset_all
  prewarm_each prewarm_export
}

prewarm_unset_all() {
  # shellcheck disable=SC2013 # names are words
  for prewarm_line in $(awk 'BEGIN { for (name in ENVIRON) print name }'); do
    case $prewarm_line in
      [!A-Za-z_]* | *[!A-Za-z0-9_]* | PWD | SHLVL | _) ;;
      # Not all can be unset: bash has some of its own that are read-only.
      *) command unset "$prewarm_line" 2>/dev/null ;;
    esac
  done
}

prewarm_export() {
  [ "$prewarm_field" = env ] || return 0
  case ${prewarm_value%%=*} in
    # The shell has no such variables, and hands on none.
    [!A-Za-z_]* | *[!A-Za-z0-9_]* | prewarm_*) ;;
    *) command export "${prewarm_value?}" 2>/dev/null ;;
  esac
}

prewarm_single_field() {
  case $prewarm_field in
    cwd) prewarm_cwd=$prewarm_value ;;
    umask) prewarm_umask=$prewarm_value ;;
    stdin) prewarm_in=$prewarm_value ;;
    stdout) prewarm_out=$prewarm_value ;;
    stderr) prewarm_err=$prewarm_value ;;
    arg) prewarm_args=1 ;;
    *) prewarm_look_env ;;
  esac
}

prewarm_argv() {
  prewarm_cwd='' prewarm_umask='' prewarm_in='' prewarm_out='' prewarm_err=''
  prewarm_args='' prewarm_bad=''
  prewarm_each prewarm_single_field
  case $prewarm_umask in
    *[!01234567]* | ??????*) prewarm_bad=1 ;;
  esac
  case $prewarm_cwd in
    '' | /*) ;;
    *) prewarm_bad=1 ;;
  esac
  if [ -z "$prewarm_args" ] || [ -n "$prewarm_bad" ]; then
    prewarm_error message 'no arg, or a bad value'
    return
  fi
  # In this shell and not in the subshell, because it may be refused.
  prewarm_oldpwd=${OLDPWD-} prewarm_had_oldpwd=${OLDPWD+1} prewarm_pwd=$PWD
  if [ -n "$prewarm_cwd" ] && ! command cd -P -- "$prewarm_cwd" 2>/dev/null; then
    prewarm_error cwd 'the directory cannot be entered'
    return
  fi
  if prewarm_open; then
    prewarm_run
    prewarm_result=$?
    exec 5<&- 6>&- 7>&-
    prewarm_status "$prewarm_result"
  else
    exec 5<&- 6>&- 7>&-
    prewarm_error descriptors 'a stream cannot be opened'
  fi
  if [ -n "$prewarm_cwd" ]; then
    # Where that has gone meanwhile, the next invocation that needs it notices.
    command cd -P -- "$prewarm_base" 2>/dev/null || :
    PWD=$prewarm_pwd
    prewarm_restore_oldpwd
  fi
}

prewarm_restore_oldpwd() {
  if [ -n "$prewarm_had_oldpwd" ]; then
    OLDPWD=$prewarm_oldpwd
  else
    unset OLDPWD
  fi
}

# The streams at 5, 6 and 7. A shell can't open for writing without O_CREAT; so what isn't there is seen
# before. `<>` does not truncate, and `>` has nothing to truncate in a pipe.
prewarm_open() {
  if [ -n "$prewarm_in" ]; then
    command exec 5<"$prewarm_in" || return
  else
    exec 5<&0
  fi 2>/dev/null
  if [ -n "$prewarm_out" ]; then
    prewarm_open_output 6 "$prewarm_out" || return
  else
    exec 6>&1
  fi
  if [ -z "$prewarm_err" ]; then
    exec 7>&2
  elif [ "$prewarm_err" = "$prewarm_out" ]; then
    exec 7>&6
  else
    prewarm_open_output 7 "$prewarm_err"
  fi
}

prewarm_open_output() {
  [ -e "$2" ] || return
  prewarm_kind=
  [ ! -f "$2" ] || prewarm_kind=f
  case $1$prewarm_kind in
    6f) command exec 6<>"$2" ;;
    6) command exec 6>"$2" ;;
    7f) command exec 7<>"$2" ;;
    7) command exec 7>"$2" ;;
  esac 2>/dev/null
}

prewarm_run() {
  # Nothing around this may look at its status (if, ||, &&): then `set -e` would mean nothing inside.
  (
    exec 3<&- 4>&-
    [ -z "$prewarm_umask" ] || umask "$prewarm_umask"
    prewarm_restore_oldpwd
    prewarm_set_env
    set --
    set -f
    IFS=$prewarm_nl
    for prewarm_line in $prewarm_fields; do
      case $prewarm_line in
        'arg '*\\*)
          prewarm_decode "${prewarm_line#* }"
          set -- "$@" "$prewarm_value"
          ;;
        'arg '*) set -- "$@" "${prewarm_line#* }" ;;
      esac
    done
    set +f
    IFS=" $prewarm_tab$prewarm_nl"
    # shellcheck disable=SC2034 # for the function
    prewarm_name=$1
    shift
    "$prewarm_function" "$@"
  ) <&5 >&6 2>&7 5<&- 6>&- 7>&-
}
