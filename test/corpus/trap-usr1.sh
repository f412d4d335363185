# SPDX-License-Identifier: MIT
# USR1 and USR2 sent to the script by itself and by its children.
trap 'echo "got USR1 at line $LINENO"; echo x | tr x y' USR1
trap 'echo got USR2' USR2
kill -USR1 $$; echo one
env kill -USR1 $$; echo two
sh -c 'kill -USR2 $PPID; echo child ends'; echo three
(kill -USR1 $$); echo four
x=$(sh -c "kill -USR2 $$; echo in"); echo "$x"
echo | sh -c "cat >/dev/null; kill -USR1 $$" ; echo five
for s in USR1 USR2 USR1; do env kill -s $s $$; done
(trap 'echo subshell own' USR1; sh -c 'kill -USR1 $PPID'; echo six)
(sh -c 'kill -USR1 $PPID'; echo never); echo "default in subshell: $?"
trap '' USR1
env kill -USR1 $$; echo ignored
trap - USR1 USR2
(sh -c 'kill -USR2 $PPID'; echo never); echo $?
