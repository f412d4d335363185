# SPDX-License-Identifier: MIT
# Pipelines of two to five commands, with builtins, groups and loops in every position.
printf '%s\n' c a b | sort
printf '%s\n' c a b | sort | head -n 2 | tail -n 1
seq 10 | grep -v 5 | tr '\n' ' ' | sed 's/ $//' | wc -c
{ echo x; cat /dev/null; echo y; } | cat -n
(echo in; echo out | tr a-z A-Z) | sort -r
for i in 1 2 3; do echo "$i"; done | paste -sd+ -
seq 3 | while read -r n; do echo "$n" | sed 's/^/n=/'; done
seq 5 | { head -n 1; cat >/dev/null; echo rest; }
if true; then echo yes; else echo no; fi | cat
case x in x) echo matched ;; esac | tr m M
upper() { tr a-z A-Z; }
echo function at the end | upper
upper <<<"function at the start" | rev
echo a | (read -r v; echo "got $v"; echo b | cat)
: | cat | wc -c
cat </dev/null | sort | uniq | wc -l
echo 'one
two' | (while IFS= read -r l; do printf '<%s>' "$l"; done; echo) | cat
