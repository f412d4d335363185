# SPDX-License-Identifier: MIT
# HUP and QUIT, default and trapped, to children in different places.
exec 2>&1
trap 'echo HUP trap' HUP
trap 'echo QUIT trap' QUIT
env kill -HUP $$
env kill -QUIT $$
sh -c 'kill -QUIT $$'; echo "child of a trapping shell: $?"
trap '' QUIT
sh -c 'kill -QUIT $$; echo not dead'; echo $?
trap - HUP QUIT
(env kill -HUP $BASHPID; echo never); echo $?
cat /dev/null | sh -c 'kill -HUP $$'; echo $?
