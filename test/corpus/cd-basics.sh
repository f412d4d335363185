# SPDX-License-Identifier: MIT
# cd and what children see of it: PWD, OLDPWD, /proc/self/cwd, pwd -P.
top=$PWD; mkdir -p a/b; show() { /bin/pwd | sed "s,^$top,TOP,"; readlink /proc/self/cwd | sed "s,^$top,TOP,"; env | grep -E '^(OLD)?PWD=' | sort | sed "s,$top,TOP,"; }
show; cd a; show; cd b; show | cat; cd - >/dev/null; show
(cd b; show); show; x=$(cd /; show; pwd); echo "$x"; cd nosuch; echo $?; show | head -n 1
cd ../a/./b/..; pwd | sed "s,$top,TOP,"; cd "$top"; cd a | cat; show | head -n 1; { cd a; show; } | head -n 1
CDPATH=$top/a; cd b | sed "s,$top,TOP,"; cd b >/dev/null; show | head -n 1; unset CDPATH; cd; pwd | sed "s,$top,TOP,"
HOME=/; cd; show | sed 's/^OLD.*/old/'; cd "$top" || exit; unset OLDPWD; cd -; echo $?; cd ''; echo $?
sh -c 'cd /; pwd'; show | head -n 1; env -C / pwd; f() { cd a; }; f; show | head -n 1; cd .. && ls
