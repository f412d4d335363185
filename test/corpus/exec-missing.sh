# SPDX-License-Identifier: MIT
# exec of what is not there ends a script, unless execfail is set.
(exec nosuchcommand-xyz; echo never); echo $?
(exec /nosuchdirectory/x; echo never); echo $?
(exec /; echo never); echo $?
touch plain; (exec ./plain; echo never); echo $?
(shopt -s execfail; exec nosuchcommand-xyz; echo "goes on $?"); echo $?
(trap 'echo "exit trap $?"' EXIT; exec nosuchcommand-xyz); echo $?
(exec </nosuchfile; echo never); echo $?
exec nosuchcommand-xyz 2>/dev/null
echo never
