# SPDX-License-Identifier: MIT
# getopts loops that launch commands between the options.
# args: -a -b value -vv -- rest of args
parse() {
  local OPTIND=1 o
  while getopts ':ab:v' o; do
    case $o in
      a) echo a | tr a A ;; b) echo "b=$OPTARG" | rev ;; v) expr "${v:-0}" + 1 ;;
      :) echo "missing for $OPTARG" | cat ;; \?) echo "bad $OPTARG" | cat ;;
    esac
  done
  shift $((OPTIND - 1)); printf '%s ' "$@" | wc -w
}
parse "$@"; parse -a -x -b; parse -bjoined -- -a
getopts ab: o -b 2>&1; echo "$? $o"; OPTIND=1; getopts x o -y; echo "$? $o $OPTIND"
