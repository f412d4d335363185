# SPDX-License-Identifier: MIT
# Commands that are not found, in every position: 127, the message, and its line.
nosuchcommand-xyz; echo $?
nosuchcommand-xyz 'an arg' >out 2>err; echo $?; wc -c <out; cat err
/nosuchdirectory/tool; echo $?; ./nosuchtool; echo $?; nosuchdir/tool; echo $?; /etc/passwd/x; echo $?
nosuchcommand-xyz | cat; echo "${PIPESTATUS[*]}"; echo x | nosuchcommand-xyz; echo $?; (nosuchcommand-xyz); echo $?; x=$(nosuchcommand-xyz); echo $?; nosuchcommand-xyz & wait $!; echo $?
if nosuchcommand-xyz 2>/dev/null; then :; else echo "else $?"; fi; ! nosuchcommand-xyz 2>/dev/null; echo $?; nosuchcommand-xyz 2>/dev/null || echo or; X=1 nosuchcommand-xyz; echo "${X-unset}"; eval nosuchcommand-xyz; f() { nosuchcommand-xyz; }; f; echo $?; "no such command with blanks"; $'odd\nname'; é-nosuch; echo $?; command nosuchcommand-xyz; exec 2>&1; env nosuchcommand-xyz; echo $?; xargs nosuchcommand-xyz </dev/null; echo $?; find . -maxdepth 0 -exec nosuchcommand-xyz \; ; echo $?; nice nosuchcommand-xyz; echo $?; timeout 1 nosuchcommand-xyz; echo $?; ${nothing} ; echo $?; TIMEFORMAT=timed; time nosuchcommand-xyz
