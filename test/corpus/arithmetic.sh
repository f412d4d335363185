# SPDX-License-Identifier: MIT
# Arithmetic with commands' output in it, and commands with arithmetic in arguments.
n=$(seq 10 | wc -l); echo $((n * 2 + $(echo 3 | cat))) | cat
((n > 5)) && head -n $((n - 8)) <<<"$(seq 5)"
for ((i = 0; i < 3; i++)); do seq $i $((i + 1)) | paste -s; done
let 'x = 7' 'y = x % 4'; expr $x + $y; echo $((16#ff + 2#101 + 010)) | tr 0-9 a-j
i=5; cut -c$((i++))-$((++i)) <<<abcdefghij; echo "i=$i"
echo $((1 / 0)) | cat; echo "status $?"; (echo $((08)); echo never) 2>/dev/null; echo $?
a=(1 2 3); echo $((a[1] + a[$(echo 2)])); while ((n-- > 8)); do echo $n | rev; done
printf '%d\n' $((2 ** 62)) | wc -c; test $((3 > 2)) -eq 1 && echo true | cat; : $((z = 4)); echo $z
