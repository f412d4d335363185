# SPDX-License-Identifier: MIT
# A script that dies of SIGTERM sent by its own child.
echo before
seq 3 | tail -n 1
trap 'echo never' EXIT
trap - EXIT
sh -c 'kill -TERM $PPID'
cat /dev/null
echo never
