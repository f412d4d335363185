# SPDX-License-Identifier: MIT
# $! of a process substitution, and waiting for it.
cat < <(echo a; exit 7); wait $!; echo "wait $?"
: > >(cat >/dev/null; exit 8); wait $!; echo "wait $?"
# Not just `exit 9`: where that has ended before the shell has noted it, bash itself says -1 at times.
: > >(read -r _; exit 9); wait $!; echo "builtin: $?"
{ seq 3; } > >(sort -r >sorted); wait $!; cat sorted
x=$(cat <(echo in)); echo "$x"
echo <(:) | sed 's/[0-9]*$/N/'
[ -p <(:) ] && echo 'a pipe'
cat <(echo 1) & wait $!; echo $?
