# SPDX-License-Identifier: MIT
# printf -v and friends between commands.
printf -v x '%05d' 42; echo "$x" | cut -c3-
printf -v 'a[2]' '%s' "$(seq 3 | paste -sd,)"; echo "${a[2]}"
printf -v q '%q' "it's a \$x"; eval "echo $q" | cat
printf '%s %s\n' $(seq 5); printf '%(%F)T\n' 86400 | tr - /
printf '%b' 'a\0b\n' | od -An -c; printf '\x41\u00e9\n' | od -An -tx1
printf '%s\n' a b | (printf -v y '%s' "$(cat)"; printf '<%s>\n' "$y")
printf '%d\n' "'A" 0x1f 010 | sort -n; printf '%d\n' abc; echo $?
printf '%*s|%-5s|%.2f\n' 6 right left 3.14159 | sed 's/ /_/g'
printf '%s' "$(printf 'trailing\n\n\n')" | wc -c; printf -- '-%s-\n' x
