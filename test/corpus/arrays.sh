# SPDX-License-Identifier: MIT
# Indexed arrays filled and used by commands.
a=($(seq 5)); echo "${#a[@]} ${a[-1]} ${a[@]:1:2}"
a+=("$(echo 'with space')" $(printf 'x\ny\n')); printf '<%s>' "${a[@]}"; echo
unset 'a[1]'; echo "${!a[@]}" | wc -w
b=([3]=three [1]=one); for i in "${!b[@]}"; do echo "$i ${b[i]}" | tr a-z A-Z; done
IFS=$'\n' read -r -d '' -a lines < <(printf '%s\n' p q r); echo "${lines[*]}"
printf '%s\0' one 'two words' $'three\nlines' >z; while IFS= read -r -d '' x; do c+=("$x"); done <z; echo "${#c[@]}"; printf '[%s]' "${c[@]}"; echo
sort <<<"$(printf '%s\n' "${a[@]}")" | tail -n 2
args=(-n 2); seq 9 | head "${args[@]}"
n=(); cat "${n[@]}" </dev/null; echo "${n[@]+set}" | wc -c
d=("${a[@]/#/pre-}"); printf '%s\n' "${d[@]}" | grep -c '^pre-'
e[$(echo 2)]=$(echo two); declare -p e
f() { local -a loc=("$@"); printf '%s ' "${#loc[@]}" "${loc[@]: -1}"; echo; }; f $(seq 12)
echo "${a[*]:0:3}" | (IFS=' ' read -ra g; echo "${#g[@]}")
declare -a m=("$(seq 2)"); echo "${#m[@]}"; mapfile -t w <<<"${m[0]}"; echo "${w[1]}"
printf '%s\n' "${a[@]@Q}" | head -n 2; cut -c1 <<<"${a[$(expr 1 + 1)]}"
