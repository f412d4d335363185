# SPDX-License-Identifier: MIT
# A script whose foreground child dies of SIGINT sent to the whole group.
echo before
cat </dev/null
trap 'echo "exit trap"' EXIT
bash -c 'kill -INT 0; exit 0'
cat /dev/null
echo never
