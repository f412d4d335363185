# SPDX-License-Identifier: MIT
# && || ; ! and newlines between external commands, and their precedence.
/bin/true && echo and1 || echo or1
/bin/false && echo and2 || echo or2
/bin/false || /bin/false || echo or3
/bin/true && /bin/false; echo $?
! /bin/true || echo negated
! ! /bin/true; echo $?
grep -q x <<<x && grep -q y <<<y && echo both
{ grep -q x <<<y || exit 3; } | cat; echo "${PIPESTATUS[0]}"
if ! grep -q x <<<y; then echo absent; fi
/bin/true & wait && echo waited
echo a | grep -q b || echo c | grep c && echo d
test -e nosuch || mkdir made && ls -d made
[ -d made ] && rmdir made; ls | wc -l
