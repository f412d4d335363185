# SPDX-License-Identifier: MIT
# A stopped and continued background child; waiting for it gives its own status.
mkfifo ready
sh -c 'echo >ready; kill -STOP $$; exit 5' &
read -r _ <ready
until grep -q '^State:.T' /proc/$!/status; do :; done
echo stopped
kill -CONT $!
wait $!; echo $?
sh -c 'kill -STOP $$; exit 6' &
until grep -q '^State:.T' /proc/$!/status; do :; done
kill -TERM $!; kill -CONT $!
wait $! 2>/dev/null; echo $?
