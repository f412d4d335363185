# SPDX-License-Identifier: MIT
# exec CMD replaces the shell: status, pid, traps gone, and nothing after it runs.
(exec /bin/true; echo never); echo $?
(exec sh -c 'exit 7'; echo never); echo $?
(exec cut -c1 <<<abc); echo $?
(exec seq 3) | tail -n 1
x=$(exec echo from exec); echo "$x"
(trap 'echo never' EXIT; exec cat </dev/null); echo $?
(exec sh -c '[ $$ = '"\$0"' ] && echo "same pid"' $BASHPID)
f() { exec echo "exec in a function $1"; echo never; }
(f arg)
(exec >file; exec sort <<<"to a file"); cat file
(exec env A=1 sh -c 'echo $A'); (A=2 exec sh -c 'echo $A')
(exec -c env | sort); (exec -l sh -c 'echo $0'); (exec -a renamed sh -c 'echo $0')
trap 'echo never' EXIT
exec sh -c 'echo "last: $0 $*"; exit 13' zero one two
echo never
