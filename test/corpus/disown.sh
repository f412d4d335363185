# SPDX-License-Identifier: MIT
# disown: the job is forgotten by jobs and wait, but lives on until told to end.
mkfifo go ended
sh -c 'cat go >/dev/null; echo over >ended' &
disown $!; jobs -r | wc -l
wait; echo "wait has nothing to wait for"
echo >go & cat ended; wait
sh -c 'cat go >/dev/null; echo over >ended' &
disown -h %1; jobs -r | wc -l
echo >go & cat ended; wait
disown %5; echo $?
