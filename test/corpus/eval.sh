# SPDX-License-Identifier: MIT
# eval and indirect ways to name a command.
eval 'seq 3 | tail -n 1'
c=cut; $c -c1 <<<abc; eval "$c -c2 <<<abc"
cmd=(sort -r); printf '%s\n' a b | "${cmd[@]}"
n=head; a=(-n 1); seq 5 | $n "${a[@]}"
t=t; ${t}r a b <<<aaa; t"r" a c <<<aaa; 'c'"u"t -c1 <<<x; $(echo rev) <<<abc
$'\x63ut' -c2 <<<abc; \c\u\t -c3 <<<abc
"$(command -v cut)" -c1 <<<abc; ~+/nosuchtool 2>/dev/null; echo $?
eval 'f() { grep -c "$1"; }'; f x <<<x
for tool in 'wc -c' 'cut -c1' rev; do $tool <<<abc; done
eval "eval 'eval \"echo nested | cat\"'"
eval 'exit_status() { return 4; }; exit_status'; echo $?
eval '(exit 5)'; echo $?; eval 'nosuchcommand-xyz' 2>/dev/null; echo $?
eval; echo $?; eval 'echo "unclosed' 2>/dev/null; echo $?
empty=; $empty cut -c1 <<<abc; $empty; echo $?
set -- cut -c1; "$@" <<<abc; "$1" -c2 <<<abc; x='seq 2'; $x; "$x" 2>/dev/null; echo $?
declare -n ref=c; $ref -c3 <<<abc; i=c; ${!i} -c1 <<<def
"" 2>/dev/null; echo $?
