# SPDX-License-Identifier: MIT
# SIGINT to the whole group, while the foreground child catches it: the script goes on.
exec 2>&1
until_parent_waits='until grep -q "^State:.S" /proc/$PPID/status; do :; done;'
bash -c "$until_parent_waits"' trap "echo child caught; exit 3" INT; kill -INT 0; :'
echo "status $?"
trap 'echo script caught' INT
bash -c 'trap "echo child caught" INT; kill -INT 0; exit 4'
echo "status $?"
trap '' INT
bash -c 'kill -INT 0; echo ignored by child'
echo "status $?"
