# SPDX-License-Identifier: MIT
# EXIT traps: in the script, in subshells and substitutions; status kept; commands inside.
trap 'echo "main: $?"; echo a | tr a b; ls' EXIT
(trap 'echo "subshell: $?" | cat' EXIT; sh -c 'exit 3')
echo "after $?"
x=$(trap 'echo "comsub $?" | rev' EXIT; grep -q x </dev/null); echo "$x $?"
(trap 'exit 9' EXIT; exit 4); echo $?
(trap 'grep -q x </dev/null' EXIT; exit 5); echo $?
(trap 'echo never' EXIT; trap - EXIT; exit 6); echo $?
(echo 'not inherited') | cat
f() { trap 'echo "set in function: $?"; wc -l <left' EXIT; }
(f; seq 3 >left; exit 7); echo $?
touch created
exit 11
