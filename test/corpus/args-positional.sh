# SPDX-License-Identifier: MIT
# The script's own arguments, odd ones included, handed on to commands.
# args: one 'two words' '' '-x' '--' '*' 'q"uo'\''te' é
/usr/bin/printf '<%s>' "$@"; echo $#; /usr/bin/printf '<%s>' "$*"; echo; (IFS=,; /bin/echo "$*"); /bin/echo "$1" "$2" "${@:3:2}" "${@: -1}"; sh -c '/usr/bin/printf "[%s]" "$@"; echo $#' sh "$@"; f() { /usr/bin/printf '{%s}' "$@"; echo; }; f "$@"; f "${@:2}" | cat; x=$(f "$1"); echo "$x"
shift 3; /bin/echo $#; set -- "$@" added; /bin/echo "$@" | wc -w; for a; do cut -c1 <<<"$a"; done; while [ $# -gt 0 ]; do /usr/bin/printf '%s;' "$1"; shift; done; echo; shift; echo $?; set -- $(echo a b); echo "$2" | cat; bash -c 'echo $0 $1' name arg; bash -s arg <<<'echo $1 | cat'; getopts a o; echo $?
