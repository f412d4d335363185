# SPDX-License-Identifier: MIT
# hash: what is remembered, hit counts, -r, -d, -t, -l, and errors.
hash; echo $?
cut -c1 <<<a; cut -c1 <<<b; sed p -n </dev/null
hash
hash -l
cut -c1 <<<c | sed s/c/d/ | tr d e
x=$(rev <<<ab); (tac </dev/null)
hash
hash -t cut sed
hash -d cut; hash
hash -r; hash; echo $?
hash grep awk; hash
grep -c x </dev/null; hash
hash nosuchcommand-xyz; echo $?
hash -t nosuchcommand-xyz; echo $?
hash -d nosuchcommand-xyz; echo $?
hash echo; hash /bin/ls; hash
command tail -n 1 <<<x; command -v head; type wc; hash
PATH=$PATH; hash; echo "$?"
