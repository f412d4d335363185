# SPDX-License-Identifier: MIT
# for, while, until, break n and continue n around commands.
for x in $(seq 3); do for y in a b c; do [ $y = b ] && continue 2; [ $x = 3 ] && break 2; echo $x$y | cat; done; done
n=0; until [ "$(echo $n)" -ge 3 ]; do n=$(expr $n + 1); done; echo $n
while :; do while :; do seq 2 | while read -r i; do break 5; done; break 2; done; done; echo out
for f in /nosuch*; do echo "$f" | tail -c 3; done; set -- p q; for a; do echo $a | tr pq PQ; done
for ((;;)); do cut -c1 <<<x; break; done | cat; while read -r l; do echo "$l"; break; done <<<$'1\n2' | rev
while grep -q x </dev/null; do :; done; echo $?; for i in; do :; done; echo $?
for i in 1 2 3; do sh -c "exit $i"; done; echo $?; for i in 1 2; do sh -c "exit $i" && break; done || echo failed
until sh -c 'exit 0'; do :; done; echo $?; select_free=1; for i in 1 2; do (continue 2>/dev/null; echo "in $i" | cat); done
i=0; while [ $i -lt 3 ]; do i=$((i + 1)); [ $i = 2 ] && continue; echo $i | sed 's/$/!/'; done >out; cat out
break; echo $?; continue 2; echo $?
