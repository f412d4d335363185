# SPDX-License-Identifier: MIT
# wait ends early for a trapped signal, and can be taken up again.
# The child sends it only once the script sleeps in wait.
trap 'echo trapped' USR1
mkfifo go
sh -c 'until grep -q "^State:.S" /proc/$PPID/status; do :; done
       kill -USR1 $PPID; cat go >/dev/null; exit 6' &
wait $!; echo "wait $?"
echo >go
wait $!; echo "again $?"
wait $!; echo "and again $?"
