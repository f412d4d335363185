# SPDX-License-Identifier: MIT
# source: with arguments, by PATH, nested, from a pipe, with return, unreadable, in functions.
cat >lib <<'END'
echo "lib: $# $* in ${FUNCNAME[0]} line $LINENO"
seq 2 | paste -s
return 7
echo never
END
. ./lib; echo $?
. ./lib a b; echo $?
source lib c; echo $?
mkdir bin; echo 'echo from PATH; cut -c1 <<<"$1"' >bin/lib2; PATH=$PWD/bin:$PATH
. lib2 xyz
shopt -u sourcepath; . lib2 x; echo $?; shopt -s sourcepath
echo '. ./lib nested; echo "back $?"' >outer; . ./outer
f() { . ./lib in f; echo "after $?"; local v=1; . <(echo 'v=2; tr a b <<<a'); echo "v=$v"; }; f
. /dev/stdin <<<'echo from stdin; head -c 1 <<<x; echo'
echo 'echo piped; rev <<<ab' | . /dev/stdin
. ./nosuchfile; echo $?
. nosuchlib; echo $?
.; echo $?
echo 'echo "$(wc -c <lib)"; nosuchcommand-xyz' >err; . ./err; echo $?
echo 'if then' >bad; . ./bad; echo $?
(set -e; echo 'grep -q x </dev/null; echo never' >e; . ./e); echo $?
. ./lib | cat; echo "${PIPESTATUS[*]}"
echo 'x=$(cat); echo "read $x"' >rd; echo data | . ./rd
x=$(. ./lib); echo "$x"
