# SPDX-License-Identifier: MIT
# Background commands: status by wait, $!, several at once, in functions and subshells.
sh -c 'exit 3' & wait $!; echo $?
sh -c 'exit 4' & a=$!; sh -c 'exit 5' & b=$!
wait $b; echo $?; wait $a; echo $?
/bin/true & /bin/false & wait; echo "wait for all: $?"
(sh -c 'exit 6' & wait $!; echo "inner $?")
f() { sh -c 'exit 7' & wait $!; echo "function $?"; }; f
x=$(sh -c 'exit 8' & wait $!; echo "comsub $?"); echo "$x"
{ seq 3 | tail -n 1; exit 9; } & wait $!; echo $?
seq 3 | sh -c 'cat; exit 10' & wait $!; echo $?
sh -c 'kill -9 $$' & wait $! 2>/dev/null; echo $?
wait 1; echo $?
wait %1; echo $?
sh -c 'echo $$ >pid' & wait $!; [ "$(cat pid)" = $! ] && echo 'the pid is $!'; rm pid
cat & wait $!; echo "stdin of a background command is /dev/null: $?"
readlink /proc/self/fd/0 & wait
for i in 1 2 3 4 5 6 7 8; do sh -c "exit $i" & pids+=($!); done
for p in "${pids[@]}"; do wait "$p"; printf '%s ' $?; done; echo
nosuchcommand-xyz 2>/dev/null & wait $!; echo $?
