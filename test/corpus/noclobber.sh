# SPDX-License-Identifier: MIT
# set -C: what > refuses, >| and >> do, in the shell and for commands.
exec 2>&1
set -C
seq 1 >a; echo $?
seq 2 >a; echo $?; cat a
seq 3 >|a; echo $?; cat a
seq 4 >>a; wc -l <a
cut -c1 <<<x >a; echo $?
x=$(seq 5 >a); echo "$?"
(seq 5 >a) | cat; echo "${PIPESTATUS[*]}"
seq 9 >/dev/null; echo $?
seq 2 &>a; echo $?
ls nosuch 2>a; echo $?
{ seq 2; } >b; { seq 3; } >b; cat b
ln -s nothere dangling; seq 1 >dangling; echo $?
mkfifo p; cat p & seq 2 >p; wait
seq 7 1<>a; head -n 3 a
set +C
seq 1 >a; cat a
(set -o noclobber; cut -c1 <<<x >a); cat a
