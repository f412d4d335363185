# SPDX-License-Identifier: MIT
# caller, FUNCNAME, BASH_SOURCE, BASH_LINENO from functions run in and between commands.
f() { caller; caller 0; caller 5; echo "status $?"; printf '%s ' "${FUNCNAME[@]}" "${BASH_LINENO[@]}" | cat; echo; }
f
g() { f | cat; x=$(f); echo "$x"; (f); }
g
echo 'f; g2() { f; }; g2' >lib; . ./lib
trap 'f' USR1; env kill -USR1 $$
sort < <(f)
shopt -s extdebug; h() { echo "${BASH_ARGV[*]} ${BASH_ARGC[*]}" | cat; }; h a b; declare -F f | sed 's,/.*/,,'; shopt -u extdebug
caller; echo $?; echo "${BASH_SOURCE[0]##*/} ${#BASH_SOURCE[@]} ${FUNCNAME-unset}"
i() { if [ ${#FUNCNAME[@]} -lt 4 ]; then i; else caller 0 | sed 's/^/at /'; fi; }; i
