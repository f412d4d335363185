# SPDX-License-Identifier: MIT
# mode: stdin
# stdin-as: pipe
# The script on stdin, as a pipe: bash reads byte by byte, commands take what is there.
echo start
read -r line
this line is read by the builtin
echo "got: $line"
cut -c1 <<<abc
dd bs=1 count=13 2>/dev/null
taken by dd!
echo after dd
(read -r sub; echo "subshell: $sub")
read in a subshell
bash -c 'read -r c; echo "child: $c"'
for the child
echo x | cat; y=$(tr a b <<<a); echo "$y"
echo "$0 $# $-" | cat
cat
all the rest
is printed, never run
echo never
