# SPDX-License-Identifier: MIT
# mode: command
# The script opens low numbers after its first launches, and commands go on working. Nothing names
# the command in the text, so that nothing is parked before it has been called.
l=ls
$l -d . | cat
for i in 1 2 3 4 5 6; do $l -d .; done
for i in 1 2 3 4 5 6 7 8; do $l -d .; done 3>g 4>g 5>g 6>g
exec 3>g 4>g 5>g 6>g 7>g 8>g
for i in 1 2 3; do $l -d . | cat; x=$($l -d .); echo "$x"; done
