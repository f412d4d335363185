# SPDX-License-Identifier: MIT
# kill -l, -L, names and numbers, and kill of what is not there.
kill -l | tr -s '\t ' '\n' | grep -c SIG
kill -l 9 15 130
kill -l HUP | cat
for n in 1 2 3 9 13 15 17 64; do printf '%s ' "$(kill -l $n)"; done; echo
/bin/kill -l | head -c 9; echo
kill -0 $$ && echo alive
kill -NOSUCH $$; echo $?
kill -9; echo $?
kill %1; echo $?
kill -s TERM notapid; echo $?
type -t kill; enable -n kill; type -t kill; kill -l 15; enable kill
