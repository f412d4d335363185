# SPDX-License-Identifier: MIT
# mapfile and readarray with commands as sources and callbacks.
mapfile a < <(seq 3); printf '%s' "${a[@]}"; echo "${#a[@]}"
mapfile -t b <<<"$(printf '%s\n' x y z)"; echo "${b[*]}"
seq 9 >f; mapfile -t -n 2 -s 3 c <f; echo "${c[*]}"
mapfile -t -O 2 d <f; echo "${!d[@]}"
printf 'a:b:c' | { mapfile -t -d : e; echo "${e[1]}" | tr b B; }
cb() { echo "$1 $2" | sed 's/^/cb /'; }; mapfile -t -C cb -c 3 g <f
exec 3<f; mapfile -t -n 1 -u 3 h; head -n 1 <&3 >/dev/null; mapfile -t -u 3 i; echo "${h[0]} ${#i[@]}"; exec 3<&-
find . -name f -print0 | { mapfile -t -d '' j; echo "${j[0]}"; }
readarray -t k < <(sort -r f | head -n 2); echo "${k[@]}"
mapfile -t l </dev/null; echo "${#l[@]}"; mapfile -t m <nosuchfile; echo $?
mapfile; echo "${#MAPFILE[@]}"
