# SPDX-License-Identifier: MIT
# mode: stdin
# The script on stdin, as a file: commands that read stdin eat the script's next lines.
echo start
head -n 1 >/dev/null
echo 'never: eaten by head, with all that head read ahead given back'
echo after head
read -r line
this line is read by the builtin
echo "got: $line"
cut -c1-5 </dev/null
sed -n 1q
eaten by sed
echo after sed
(read -r sub; echo "subshell: $sub")
read in a subshell
x=$(head -n 1)
taken by a substitution
echo "substitution: $x"
while read -r l; do echo "loop: $l"; [ "$l" = end ] && break; done
one
end
echo a | cat | tr a b
dd bs=1 count=4 2>/dev/null
abc
cat <<END
here
END
bash -c 'read -r c; echo "child: $c"'
for the child
exec 3<&0
head -n 1 <&3
through a copy
wc -l
the rest is counted
and never run
