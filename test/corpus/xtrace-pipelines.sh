# SPDX-License-Identifier: MIT
# set -x of pipelines: every element traces by itself, in no order, so it is sorted.
exec 3>&2 2>>trace
set -x
echo a | tr a b | sed s/b/c/
x=$(seq 3 | sort -r | head -n 1)
f() { cut -c1; }; echo xyz | f | (rev)
cat <(echo procsub) | { wc -l; grep -c x </dev/null; }
while read -r l; do cut -c1 <<<"$l"; done < <(seq 2)
! seq 2 | grep -q 3
A=1 env | B=2 grep -c A=1
set +x
exec 2>&3 3>&-
sort trace; rm trace
