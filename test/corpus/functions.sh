# SPDX-License-Identifier: MIT
# Functions: return codes, scope, redirections, nesting, and commands as last command.
f() { sh -c "exit $1"; }; f 3; echo $?; f 0 && echo zero
g() { return "$(echo 7)"; }; g; echo $?; h() { f 4; return; }; h; echo $?
i() { cat; echo "args: $# $*" | tr a-z A-Z; } <<<"redirected by definition"; i x 'y z'
j() { local v=$(sh -c 'exit 5'); echo "local hides $?"; local w; w=$(sh -c 'exit 5'); echo "not now $?"; }; j
k() { l() { echo inner | rev; }; l; }; k; l
m() { v=global; local w=local; n; }; n() { echo "$w" | cat; w=changed; }; m; echo "$v ${w-unset}"
o() (cd /; pwd; exit 6); o; echo $?; pwd | grep -c .
p() { if (($1)); then p $(($1 - 1)) | sed "s/^/$1/"; else echo end; fi; }; p 4
q() { shift; "$@"; }; q x cut -c1 <<<abc; q x q x rev <<<ab
r() for x; do echo $x | cat; done; r 1 2; s() { t; }; s 2>/dev/null; echo $?; declare -f r | wc -l
u() { trap 'echo never' RETURN; trap - RETURN; unset -f u; cut -c1 <<<gone; }; u; type -t u; echo $?
return 2>/dev/null; echo $?; v() { return 256; }; v; echo $?; w() { return -1; }; w; echo $?
