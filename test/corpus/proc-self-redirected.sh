# SPDX-License-Identifier: MIT
# /proc/self opened by a redirection: bash opens it in the child that becomes the command.
tr '\0' ' ' </proc/self/cmdline; echo
cut -d' ' -f2 </proc/self/stat; read -r pid _ < <(cat </proc/self/stat); [ "$pid" != $$ ] && echo 'not the shell'
awk -v p=$$ '{ print $1 == p, $4 == p }' </proc/self/stat
sed -n 1p </proc/self/comm; cat </proc/self/comm | cat; (cat </proc/self/comm; :); x=$(cat </proc/self/comm); echo "$x"
sh -c '[ "$(cut -d" " -f1)" = $$ ] && echo "the pid is that of the command"' </proc/self/stat
sh -c 'read -r s; [ "${s%% *}" = $$ ] && echo same' </proc/self/stat; read -r p _ </proc/self/stat; [ "$p" = $$ ] && echo 'builtin: the shell'
readlink /dev/fd/0 </proc/self/comm | sed 's/[0-9]\+/N/'; cat </dev/fd/0 </dev/null; cat </dev/stdin | wc -c; echo x >/dev/stderr; seq 2 >/dev/stdout; seq 2 >/dev/fd/1; cat /dev/fd/3 3<<<three; cat <&3 3<<<order 2>/dev/null; echo $?
