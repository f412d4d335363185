# SPDX-License-Identifier: MIT
# The order of redirections decides; several of one descriptor; before and after words.
f() { echo out; echo err >&2; }
f 2>&1 >a | sed 's/^/piped:/'; cat a
f >b 2>&1 | sed 's/^/piped:/'; cat b
ls nosuchfile >c 2>&1; cat c
ls nosuchfile 2>&1 >d; cat d
>e f 2>f; cat e f
seq 2 >g >h; wc -l g h
sort <g <h
<h sort -r
2>i ls nosuchfile; cat i
sort <<A <h <<B
a
A
b
B
echo abc >j; cat <j >k; cat k
cat >>k <j; cat k
echo start >l; sh -c 'echo one; echo two >>l; echo three' >>l; cat l
echo overwritten >m; sh -c 'echo 1; echo 2 >m; echo 3' >m; od -An -c m
true >n; false >>n; test -s n; echo $?
x=1 >o; echo "$x"; ls o
: >p$((1 + 1)); ls p*
