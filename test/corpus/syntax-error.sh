# SPDX-License-Identifier: MIT
# Commands before a syntax error run; the error has its line, and the status is 2.
exec 2>&1
cut -c1 <<<before
eval 'if then'; echo $?
eval 'cut -c1 <<<x; )'; echo $?
bash -c 'echo one | cat; for'; echo $?
echo 'cut -c1 <<<in-file
if true; then
echo never' >unfinished; bash unfinished; echo $?; . ./unfinished; echo $?
x=$(bash -c 'echo "unclosed'); echo $?
cut -c1 <<<last
done
echo never
