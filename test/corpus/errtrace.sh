# SPDX-License-Identifier: MIT
# The ERR trap in functions, subshells and substitutions, without and with set -E.
trap 'echo "ERR $? line $LINENO in ${FUNCNAME[0]-main} ($BASH_COMMAND)"' ERR
f() { grep -q x </dev/null; return 0; }
echo '-- without errtrace'
/bin/false
f
(/bin/false)
x=$(/bin/false; echo inside); echo "$x"
echo a | grep b
/bin/false | /bin/true
sh -c 'exit 3' || echo 'or: no trap'
if grep -q x </dev/null; then :; fi
! /bin/true
echo '-- with errtrace'
set -E
f
(sh -c 'exit 4'; :)
x=$(sh -c 'exit 5'; echo inside); echo "$x"
{ sh -c 'exit 6'; } | cat
set -o pipefail
sh -c 'exit 7' | cat
trap - ERR
/bin/false
echo end
