# SPDX-License-Identifier: MIT
# set -e: where a failing command ends the script and where it does not.
set -e
/bin/false || echo 'or'
if /bin/false; then :; fi; echo 'if'
while /bin/false; do :; done; echo 'while'
until /bin/true; do :; done; echo 'until'
! /bin/true; echo 'not'
/bin/false && echo never; echo 'and'
/bin/false | /bin/true; echo 'pipe'
(set +e; /bin/false; echo 'off in subshell')
f() { /bin/false; echo 'in a condition the whole function is exempt'; }
if f; then :; fi
f && :
echo "$(/bin/false; echo 'comsub goes on')"
local_status=0; grep -q x </dev/null || local_status=$?; echo "$local_status"
trap 'echo "exit $?"' EXIT
{ echo group; grep -q x </dev/null; echo never; } >file
echo never
