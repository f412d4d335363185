# SPDX-License-Identifier: MIT
# timeout(1) and its statuses, as simple command, in a pipeline and in $( ).
exec 2>&1
timeout 0.01 sleep 5; echo $?
timeout 5 /bin/true; echo $?
timeout 5 sh -c 'exit 9'; echo $?
timeout -s KILL 0.01 sleep 5; echo $?
timeout --preserve-status 0.01 sleep 5; echo $?
x=$(timeout 0.01 cat /dev/zero | tr -d '\0'); echo "$? <$x>"
timeout 5 nosuchcommand-xyz; echo $?
timeout 0.01 sleep 5 | cat; echo "${PIPESTATUS[*]}"
