# SPDX-License-Identifier: MIT
# SIGINT: a child that dies of it, a child that catches it, and an own trap.
# A child that signals the script waits until the script sleeps, waiting for it.
until_parent_waits='until grep -q "^State:.S" /proc/$PPID/status; do :; done;'
(sh -c 'kill -INT $$'; echo "goes on: $?"); echo "dead of INT, shell not: $?"
trap 'echo "INT trap"' INT
kill -INT $$; echo one
env kill -INT $$; echo two
sh -c 'trap "exit 7" INT; kill -INT $$'; echo "caught: $?"
sh -c "$until_parent_waits"' kill -INT $PPID; exit 3'; echo "three $?"
(trap - INT; sh -c "$until_parent_waits"' kill -INT $PPID'; echo "child lives, shell lives")
trap '' INT
env kill -INT $$; echo ignored
sh -c 'kill -INT $$; echo "child ignores it too"'; echo $?
trap - INT
sh -c "$until_parent_waits"' kill -INT $PPID'; echo "child lives, script lives"
echo end
