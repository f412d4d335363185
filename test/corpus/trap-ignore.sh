# SPDX-License-Identifier: MIT
# trap '' is inherited by every kind of child; a trap with a command is not.
masks() { grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; }
masks
trap '' USR1 TERM HUP
echo ignored; masks
grep SigIgn /proc/self/status | cat
(grep SigIgn /proc/self/status)
echo "$(grep SigIgn /proc/self/status)"
grep SigIgn /proc/self/status & wait
sh -c 'kill -TERM $$; echo survived'
trap 'echo caught' USR1 TERM
echo caught; masks
trap - USR1 TERM HUP
echo default; masks
sh -c 'kill -USR1 $$; echo never' 2>&1 | cat
(trap '' INT QUIT; masks)
trap '' CHLD PIPE TSTP TTIN TTOU WINCH RTMIN RTMAX; masks
