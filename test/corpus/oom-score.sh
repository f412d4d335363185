# SPDX-License-Identifier: MIT
# Attributes that the shell sets by writing to its own /proc: inherited by what follows.
cat /proc/self/oom_score_adj
echo 100 >/proc/self/oom_score_adj
cat /proc/self/oom_score_adj; cat /proc/self/oom_score_adj | cat; (cat /proc/self/oom_score_adj); echo "$(cat /proc/self/oom_score_adj)"
(echo 200 >/proc/self/oom_score_adj; cat /proc/self/oom_score_adj; tail -n 1 /proc/self/oom_score_adj | cat); cat /proc/self/oom_score_adj
cat /proc/self/coredump_filter; echo 0x21 >/proc/self/coredump_filter; cat /proc/self/coredump_filter; sort /proc/self/coredump_filter | cat
cat /proc/self/timerslack_ns; { echo 60000 >/proc/self/timerslack_ns; } 2>/dev/null; cat /proc/self/timerslack_ns; head /proc/self/timerslack_ns | cat
choom -p $$ 2>/dev/null | sed 's/pid [0-9]*/pid N/; /current OOM score:/d;/current OOM score$/d' | tail -n 1
