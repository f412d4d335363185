# SPDX-License-Identifier: MIT
# Background commands ignore INT and QUIT without job control; traps change nothing there.
grep SigIgn /proc/self/status & wait
(grep SigIgn /proc/self/status) & wait
sh -c 'kill -INT $$; echo survived' & wait
trap 'echo trapped' INT
grep SigIgn /proc/self/status & wait
trap '' TERM
sh -c 'kill -TERM $$; echo survived' & wait
trap - INT TERM
set -m
grep SigIgn /proc/self/status & wait
set +m
mkfifo go
cat go & wait_for=$!
kill $wait_for; wait $wait_for; echo $?
sleep 10 & kill -9 $!; wait $! ; echo $?
