# SPDX-License-Identifier: MIT
# Parameter expansion on the output of commands.
p=$(echo /usr/local/lib/libx.so.1); echo "${p##*/}" "${p%/*}" "${p%%.*}" "${p/lib/LIB}" "${p//lib/L}" | cat
u=$(echo mixed Case | tr -d '\n'); echo "${u^}" "${u^^}" "${u,,}" "${#u}" "${u:2:3}" "${u: -4}" | cat
echo "${none:-$(echo default | rev)}" "${none:+never}" "${u:+$(echo set | cat)}" | cat; : "${made:=$(seq 2 | paste -s)}"; echo "$made"
set -- $(seq 12); echo "${10}${11}" "${*:2:3}" "${@: -1}" $# | cat; echo "${!#}"
v=$'tab\there'; echo "${v@Q}" "${v@E}" | cat; echo "${v@A}"; a=(x y); echo "${a[@]@A}" | cat
echo "${PATH//:/$'\n'}" | head -n 1; x='a  b'; echo $x "$x" | wc -c; echo "${x/ /$(echo _)}"
long=$(printf '%0300d' 7); echo "${#long} ${long//0}" | cat; echo "${p//[^\/]}" | tr -d '\n' | wc -c; echo "${u//?/.}"
w='& \1'; y=abc; echo "${y/b/$w}" "${y/b/"$w"}" | cat; echo "${!BASH_VERSI*}"; printf '%s\n' "${y:0:1}${y:$(expr 1 + 1)}"
