# SPDX-License-Identifier: MIT
# Here-strings and redirection targets whose expansion has side effects. For an
# external command they happen in the child; for builtins and functions in the shell.
i=0
cat <<<"$((i++))"; echo "i=$i"
read -r x <<<"$((i++))"; echo "x=$x i=$i"
cat <<<"${unset_one:=assigned}"; echo "${unset_one-still unset}"
tr a b <<<"$(echo a; echo once >>count)"; wc -l <count
cat </dev/null >"out$((i++))"; ls out*; echo "i=$i"
cut -c1-3 <<<"${arr[j++]=abcdef}"; echo "j=${j-unset} ${#arr[@]}"
f() { cat; }
f <<<"$((i++))"; echo "function: i=$i"
{ cat; } <<<"$((i++))"; echo "group: i=$i"
cat <<<"$((i++))" | cat; echo "pipeline: i=$i"
echo "$(cat <<<"$((i++))")"; echo "comsub: i=$i"
cat <<END
$((i++)) ${k:=set} $(echo sub)
END
echo "heredoc: i=$i k=${k-unset}"
grep -c . <<<"$RANDOM"
cat "/dev/null" 2>"err$((i += 5))"; echo "i=$i"; ls err*
cat <<<"$((i++))" /dev/stdin; echo "i=$i"
n=0; while ((n < 3)); do cat <<<"$((n++))"; ((n++)); done; echo "n=$n"
sed "s/x/$((i++))/" <<<x; echo "argument: i=$i"
env <<<"${PATH:+}" | grep -c ^PATH
