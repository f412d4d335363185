# SPDX-License-Identifier: MIT
# Priority of the shell changed in mid-script, and of single commands.
n0=$(nice); nice -n 3 sh -c 'nice' | awk -v n="$n0" '{ print $1 - n }'
prio() { awk -v n="$n0" '{ print $19 - n }' /proc/self/stat; }
prio
renice -n $((n0 + 4)) -p $$ >/dev/null; prio; nice | awk -v n="$n0" '{ print $1 - n }'
prio | cat; (prio); x=$(prio); echo "$x"; nice -n 2 awk -v n="$n0" '{ print $19 - n }' /proc/self/stat
(renice -n $((n0 + 6)) -p $BASHPID >/dev/null; prio; prio | cat); prio
chrt -p $$ | sed 's/pid [0-9]*/pid N/'; chrt -b 0 awk '{ print $41 }' /proc/self/stat; awk '{ print $41 }' /proc/self/stat
chrt -b -p 0 $$; awk '{ print $41 }' /proc/self/stat; awk '{ print $41 }' /proc/self/stat | cat
ionice -c 3 -p $$ 2>/dev/null; ionice; ionice | cat
