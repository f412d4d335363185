# SPDX-License-Identifier: MIT
# The same from a pipe, where nothing that was read too far can be given back.
# stdin-as: pipe
# stdin: 1 one
# stdin: 2 two
# stdin: 3 three
# stdin: 4 four
read -r a; echo "read $a"
dd bs=1 count=4 2>/dev/null; echo
read -r b; echo "read $b"
cat - </dev/null
(read -r c; echo "subshell $c")
head -n 1; echo "head done"
read -r d; echo "status $?"
cat; echo "cat $?"
