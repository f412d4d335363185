# SPDX-License-Identifier: MIT
# Duplicating, moving and closing descriptors on commands: n>&m, n>&m-, n<&-, {v}>&.
f() { echo out; echo err >&2; }
f 3>&1 1>&2 2>&3- 2>/dev/null
f 2>&1 | sort
(f 3>&1- 1>&3 2>/dev/null)
sh -c 'echo a >&3; echo b >&4' 3>x 4>&3; cat x
sh -c 'echo a >&3' 3>&-; echo $?
sh -c 'cat' <&-; echo $?
sh -c 'cat <&3' 3<<<three
exec 3>file; sh -c 'echo moved' >&3-; echo "still open in the shell" >&3; exec 3>&-; cat file
exec 3<file; (exec 5<&3-; head -n 1 <&5; cat <&3; echo $?); cat <&3; exec 3<&-
cat <&9; echo $?
echo x >&9; echo $?
sh -c 'echo high' 20>&1 1>&20
sh -c 'echo both; echo both >&2' &>all; cat all
sh -c 'echo again; echo again >&2' &>>all; cat all
sh -c 'echo x' >& all; cat all
ls nosuchfile 2>&-; echo $?
f >&- 2>errors; cat errors
{ f 2>&3; } 3>&1 >/dev/null
fd=7; eval "exec $fd>seven"; seq 2 >&$fd; eval "exec $fd>&-"; cat seven
