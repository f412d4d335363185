# SPDX-License-Identifier: MIT
# jobs, job specifications and $! while background commands live.
mkfifo go
sh -c 'cat go >/dev/null; exit 3' &
jobs | tr -s ' '
jobs -r | wc -l; jobs -s | wc -l
[ "$(jobs -p)" = $! ] && echo same
cat /dev/null; jobs %1 | tr -s ' '
(jobs | wc -l)
x=$(jobs | wc -l); echo "$x"
jobs -x echo %1 | sed "s/^$$\$/group of the script/"
echo >go; wait %1; echo $?
jobs; echo "none $?"
jobs %1; echo $?
