# SPDX-License-Identifier: MIT
# Process substitution as input.
diff <(seq 3) <(seq 4); echo $?
cat <(echo a) <(echo b | tr b c) <(cat <(echo nested))
paste -d, <(seq 3) <(seq 4 6) <(printf '%s\n' x y z)
while read -r l; do echo "$l" | sed 's/^/> /'; done < <(seq 2)
comm -12 <(printf '%s\n' b a | sort) <(printf '%s\n' c b | sort)
mapfile -t a < <(seq 3); echo "${a[*]}"
f() { cat "$1" "$2"; }
f <(echo one) <(echo two)
. <(echo 'echo sourced; v=set'); echo "$v"
grep -f <(echo b) <<<abc
x=$(cat <(echo comsub)); echo "$x"
(cat <(echo subshell)) | cat <(echo pipe) -
exec 3< <(seq 5); head -n 1 <&3 >/dev/null; exec 3<&-
sort -m <(seq 1 2 5) <(seq 2 2 6) | paste -s
cat < <(exit 3); echo $?
wc -l < <(seq 70000)
