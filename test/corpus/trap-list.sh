# SPDX-License-Identifier: MIT
# trap -p, also in $( ) and subshells, where the traps shown are the parent's.
trap 'echo "it'\''s" | cat' USR1
trap '' USR2
trap 'ls | wc -l' EXIT
trap -p
trap -p USR2
x=$(trap -p); echo "$x"
(trap)
(trap 'echo other' USR1; trap -p USR1)
trap -p | sort
trap - USR1 USR2
trap
trap -- 'echo last' EXIT
trap 'x' NOSUCHSIGNAL; echo $?
trap -l | head -n 2
