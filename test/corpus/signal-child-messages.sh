# SPDX-License-Identifier: MIT
# What the shell says of a foreground child that died of each signal.
exec 2>&1
for s in HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT \
  XCPU XFSZ VTALRM PROF IO PWR SYS RTMIN RTMAX; do
  echo "== $s"
  bash -c "kill -$s \$\$; exit 0" | cat
  (bash -c "kill -$s \$\$"; echo "status $?")
done
