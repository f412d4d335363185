# SPDX-License-Identifier: MIT
# set -u: unset variables in arguments of external commands end the shell.
set -u
(cat "$missing"; echo never); echo $?
(echo "${missing-default}" | cat); echo $?
(x=$(echo "$missing" | cat); echo never); echo $?
(echo a | cut -c"$missing" | cat; echo 'the pipeline element only'); echo $?
(set -- a b; echo "$3" | cat; echo after); echo $?
(a=(); echo "${a[@]}" | cat; echo "${#a[@]}"); echo $?
(declare -A m; echo "${m[x]}"; echo never); echo $?
(unset x; : "${x:?is needed}"; echo never); echo $?
(echo "$@" "$#" | cat); echo $?
(cat <<<"$missing"; echo never); echo $?
(cat >"$missing"; echo never); echo $?
cat "$missing_at_the_end"
echo never
