# SPDX-License-Identifier: MIT
# Associative arrays counted and filled from commands' output.
declare -A n
while read -r w; do n[$w]=$((${n[$w]:-0} + 1)); done < <(printf '%s\n' b a b c b)
for k in "${!n[@]}"; do echo "$k ${n[$k]}"; done | sort
declare -A t=([cut]='-c1' [rev]='' ['tr a b']=''); for k in cut rev; do $k ${t[$k]} <<<abc; done
t["key $(echo x)"]=$(echo y | tr y z); echo "${t[key x]}"
[[ -v t[cut] ]] && echo has; unset 't[cut]'; [[ -v t[cut] ]] || echo has not; echo "${#t[@]}"
(t[sub]=1; echo "${#t[@]}" | cat); echo "${#t[@]}"
seq 3 | while read -r i; do n[$i]=x; done; echo "${#n[@]}"
declare -A sizes; for f in a bb ccc; do printf %s $f >$f; sizes[$f]=$(wc -c <$f); done; for f in a bb ccc; do printf '%s ' "${sizes[$f]}"; done; echo
printf '%s\n' "${!n[@]}" | sort -r | head -n 2
declare -p sizes | tr ' ' '\n' | grep -c =
