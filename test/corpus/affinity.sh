# SPDX-License-Identifier: MIT
# Processor affinity of the shell changed in mid-script.
# needs: taskset
allowed() { grep Cpus_allowed_list /proc/self/status | cut -f 2; }
all=$(allowed); first=${all%%[-,]*}
[ "$(allowed)" = "$all" ] && echo same
(taskset -cp "$first" $BASHPID >/dev/null; [ "$(allowed)" = "$first" ] && echo subshell; allowed | sed "s/^$first\$/pinned/")
[ "$(allowed)" = "$all" ] && echo restored
taskset -cp "$first" $$ >/dev/null
allowed | sed "s/^$first\$/pinned/"; x=$(allowed); [ "$x" = "$first" ] && echo comsub
nproc; taskset -c "$first" nproc; allowed | cat | sed "s/^$first\$/pinned/"
taskset -cp "$all" $$ >/dev/null; [ "$(allowed)" = "$all" ] && echo wide again
[ "$(taskset -c "$first" grep Cpus_allowed_list /proc/self/status | cut -f 2)" = "$first" ] && echo one command
