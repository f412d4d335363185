# SPDX-License-Identifier: MIT
# Functions with the names of commands, before, between and after launches of the command.
cut -c1 <<<abc
cut() { echo "function: $*"; cat >/dev/null; }
cut -c1 <<<abc
command cut -c1 <<<abc
/usr/bin/cut -c2 <<<abc
echo x | cut -c1 | cat
(cut -c1 <<<sub; unset -f cut; cut -c3 <<<abc)
x=$(cut -c1 <<<abc); echo "$x"
type -t cut; type -at cut | head -n 3
unset -f cut
cut -c1 <<<abc; type -t cut
ls() { command ls -a "$@" | wc -l; }
ls
sed() { command sed "s/x/y/;$1"; }
sed s/y/z/ <<<x
grep() { builtin echo "grep in $BASH_SUBSHELL"; }
grep | cat; (grep); grep
unset -f ls sed grep
function tr { /usr/bin/env tr "$@"; }
tr a b <<<aaa
unset -f tr; tr a c <<<aaa
env bash -c 'cut -c1 <<<abc'; declare -F
