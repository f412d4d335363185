# SPDX-License-Identifier: MIT
# ERR trap: LINENO, BASH_COMMAND and status, with external commands inside the trap.
trap 'echo "line $LINENO: $BASH_COMMAND -> $?" | sed "s/^/  /"' ERR
/bin/false
ls nosuchfile 2>/dev/null
sh -c 'exit 42'
nosuchcommand-xyz 2>/dev/null
echo a | grep -q b
x=$(sh -c 'exit 9')
(exit 8)
{ /bin/false; }
/bin/false || sh -c 'exit 4'
/bin/false && echo never
until /bin/true; do :; done
cat <nosuchfile 2>/dev/null
sh -c 'kill -9 $$' 2>/dev/null
trap - ERR
/bin/false
echo end
