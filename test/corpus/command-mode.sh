# SPDX-License-Identifier: MIT
# mode: command
# A script given by -c: names, numbers of lines in messages, and the last command, for
# which bash saves itself a fork.
echo "$0 $# ${BASH_SOURCE[0]-unset} ${FUNCNAME[0]-none}" | cat
echo "$LINENO $- $BASH_SUBSHELL"
nosuchcommand-xyz; cat <nosuchfile
f() { nosuchcommand-xyz; echo "$LINENO ${BASH_SOURCE[0]-unset}"; }; f
sh -c 'kill -KILL $$'; echo $?
sh -c '[ $PPID = '$$' ] && echo child'
sh -c 'echo "$(ps -o comm= -p $PPID)"'
caller; return 3; echo $?
sh -c 'test "$(ps -o ppid= -p $$ | tr -d " ")" = '$PPID' && echo "in place of bash" || echo "a child of bash"; exit 5'
