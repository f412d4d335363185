# SPDX-License-Identifier: MIT
# Traps within traps, commands launched in handlers, status restored after them.
trap 'echo "usr1 sees $?"; sh -c "exit 5"; kill -USR2 $$; echo usr1 ends' USR1
trap 'echo usr2 | cat' USR2
sh -c 'exit 3'
kill -USR1 $$
echo "status $?"
f() { trap 'echo "from f: ${FUNCNAME[*]}"; echo x | tr x z' USR1; env kill -USR1 $$; }
f
x=$(trap 'echo trapped in comsub' USR1; env kill -USR1 $BASHPID; echo rest); echo "$x"
trap 'r=$(echo from handler | tr a-z A-Z)' USR2
env kill -USR2 $$; echo "$r"
