# SPDX-License-Identifier: MIT
# Job control in a script: groups of their own, messages of ended jobs.
exec 2>&1
own_group() { sh -c 'awk "{print (\$5 == \$1) ? \"leads a group\" : \"does not lead\"}" /proc/$$/stat'; }
own_group
set -m
own_group
sh -c 'awk "{print (\$5 == \$1) ? \"leads a group\" : \"does not lead\"}" /proc/$$/stat'
sh -c 'awk "{print (\$5 == \$1) ? \"leads a group\" : \"does not lead\"}" /proc/$$/stat' | cat
x=$(own_group); echo "$x"
seq 3 | sort -r | head -n 1
mkfifo go
sh -c 'cat go >/dev/null; exit 3' &
jobs | tr -s ' '
echo >go
wait %1; echo $?
sh -c 'kill -TERM $$'; echo $?
sh -c 'kill -KILL $$' | cat; echo "${PIPESTATUS[*]}"
set +m
own_group
echo end
