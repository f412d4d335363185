# SPDX-License-Identifier: MIT
# shopt lastpipe: the last element runs in the shell itself.
x=before
echo after | read -r x; echo "$x"
shopt -s lastpipe
echo after | read -r x; echo "$x"
seq 3 | while read -r n; do sum=$((sum + n)); echo "$n" | sed 's/^/-/'; done; echo "sum=$sum"
seq 5 | mapfile -t a; echo "${a[*]} ${#a[@]}"
printf 'b\na\n' | sort | { read -r first; cat; }; echo "first=$first ${PIPESTATUS[*]}"
echo x | grep x | cat; echo "${PIPESTATUS[*]}"
f() { cat >/dev/null; inner=$BASH_SUBSHELL; }
echo x | f; echo "inner=$inner"
(echo y | read -r x; echo "in subshell: $x"); echo "$x"
sh -c 'exit 3' | (exit 4) | sh -c 'exit 5'; echo "$? ${PIPESTATUS[*]}"
set -o pipefail; sh -c 'exit 3' | read -r x; echo $?
