# SPDX-License-Identifier: MIT
# Subshells in subshells, each launching; what changes in them stays in them.
v=0; (v=1; (v=2; (v=3; echo $v | cat); echo $v | rev); cut -c1 <<<$v); echo $v
(cd /; export E=1; umask 0; alias q=x; set -f; trap 'echo t' USR1; f() { :; }; env | grep ^E=; pwd); env | grep ^E=; type f 2>/dev/null; umask; echo $- | tr -cd f | wc -c
( (echo a | cat; exit 3) | cat; echo "${PIPESTATUS[0]}") | cat; ( ( ( ( (echo five | rev) ) ) ) )
(exit 4) || (echo $? | cat; exit 5) || (echo $? | cat)
{ (echo 1; echo 2 >&2) 2>&1; } | (while read -r x; do (echo "<$x>" | cat); done)
echo $(echo $( (echo deep | (cat)) | cat) ) | cat
(sleep 0; seq 2) >out; cat out; (cat) <out | (tail -n 1); (cut -c1) <<<xyz; (cut -c2 <<<xyz) >out; cat out
x=(a b); (x+=(c); echo "${#x[@]}" | cat); echo "${#x[@]}"; (readonly r=1; r=2) 2>/dev/null; echo $? "${r-unset}"; (return 2>/dev/null); echo $?
