# SPDX-License-Identifier: MIT
# kill -9 $BASHPID in subshells, and in the end of the script itself.
exec 2>&1
(kill -9 $BASHPID; echo never); echo $?
(seq 2; env kill -9 $BASHPID; echo never); echo $?
x=$(echo before; kill -9 $BASHPID); echo "$x $?"
(kill -9 $BASHPID) | cat; echo "${PIPESTATUS[*]}"
{ env kill -TERM $BASHPID; } & wait $!; echo $?
touch left-behind
ls
kill -9 $$
echo never
