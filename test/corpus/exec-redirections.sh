# SPDX-License-Identifier: MIT
# exec without a command: descriptors of the shell, as seen by what it launches later.
exec 3>three 4>&1
echo to three >&3; /bin/echo more >&3; seq 2 >&3
/bin/echo via four >&4
sh -c 'echo from a child >&3'
exec 3>&-
sh -c 'echo gone >&3' 2>/dev/null; echo $?
cat three
exec 5<three; head -c 3 <&5; cat <&5; exec 5<&-
exec {fd}>named; echo "$((fd >= 10))"; seq 3 >&$fd; exec {fd}>&-; cat named
exec 6<>both; echo written >&6; cat both; exec 6>&-
exec >out 2>err; seq 2; ls nosuchfile; exec 1>&4 2>&1
cat out err
exec 7>&1 >captured; echo hidden; env echo hidden too; exec >&7 7>&-
cat captured
exec <three; head -n 1; cat
exec 8</dev/null; readlink /proc/self/fd/8; exec 8<&-
readlink /proc/self/fd/8; echo $?
{ sh -c 'echo five >&5'; } 5>&1
exec {x}</dev/null {y}<&$x; [ "$x" != "$y" ] && echo two; exec {x}<&- {y}<&-
