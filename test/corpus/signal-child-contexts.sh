# SPDX-License-Identifier: MIT
# The same death in a simple command, pipeline, subshell, substitution, function, list.
exec 2>&1
die() { sh -c "kill -$1 \$\$"; }
sh -c 'kill -SEGV $$'; echo "simple $?"
sh -c 'kill -TERM $$'; echo "simple $?"
sh -c 'kill -KILL $$' | cat; echo "first ${PIPESTATUS[*]}"
cat /dev/null | sh -c 'kill -KILL $$'; echo "last ${PIPESTATUS[*]}"
cat /dev/null | sh -c 'kill -SEGV $$' | cat; echo "middle ${PIPESTATUS[*]}"
(sh -c 'kill -ABRT $$'); echo "subshell $?"
(sh -c 'kill -ABRT $$'; echo "in subshell $?"); echo "subshell $?"
x=$(sh -c 'kill -KILL $$'); echo "comsub $?"
x=$(sh -c 'kill -KILL $$'; echo "then $?"); echo "comsub $x"
die BUS; echo "function $?"
sh -c 'kill -KILL $$' && echo never || echo "list $?"
if sh -c 'kill -TERM $$'; then :; else echo "if $?"; fi
! sh -c 'kill -TERM $$'; echo "not $?"
sh -c 'kill -KILL $$' >/dev/null; echo "redirected $?"
sh -c 'kill -KILL $$' 2>/dev/null; echo "errors away $?"
X=1 sh -c 'kill -KILL $$'; echo "assignment $?"
{ sh -c 'kill -KILL $$'; } 2>/dev/null; echo "group, errors away $?"
