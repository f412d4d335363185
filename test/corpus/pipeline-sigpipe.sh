# SPDX-License-Identifier: MIT
# Writers that outlive their reader die of SIGPIPE: 141, and silently.
yes | head -n 1; echo "${PIPESTATUS[*]}"
yes | sed 2q | cat; echo "${PIPESTATUS[*]}"
seq 100000 | head -n 2; echo "${PIPESTATUS[*]}"
cat /dev/zero | head -c 5 | od -An -tx1; echo "${PIPESTATUS[*]}"
tr '\0' x </dev/zero | dd bs=1 count=3 2>/dev/null; echo " ${PIPESTATUS[*]}"
x=$(yes | head -n 3); echo "$x" "$?"
set -o pipefail
yes | head -n 1; echo "pipefail $?"
(yes | head -n 1; echo "subshell ${PIPESTATUS[*]}")
yes n | grep -m1 n >/dev/null; echo "grep ${PIPESTATUS[*]}"
