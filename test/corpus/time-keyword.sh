# SPDX-License-Identifier: MIT
# time with formats that show no figures, on all kinds of commands; figures are checked roughly.
exec 2>&1
TIMEFORMAT=timed
time cut -c1 <<<abc
time seq 3 | tail -n 1
time (rev <<<ab)
time { cat </dev/null; cut -c1 <<<group; }
f() { sed -n 1p <<<f; }; time f
x=$(time cut -c1 <<<abc); echo "$x"
! time /bin/false; echo $?
time sh -c 'exit 3'; echo $?
time nosuchcommand-xyz 2>/dev/null; echo $?
time; TIMEFORMAT=; time cut -c1 <<<nothing
TIMEFORMAT='%% %2R %3lU %S'; { time cut -c1 </dev/null | cat; } 2>&1 | sed 's/[0-9]/N/g; s/N*\.N*$/N.N/'
unset TIMEFORMAT; { time cut -c1 </dev/null; } 2>&1 | sed 's/[0-9.]\+/N/g'
{ time -p sort </dev/null; } 2>&1 | sed 's/[0-9.]\+/N/g'
TIMEFORMAT='%U'; t=$({ time sh -c 'i=0; while [ $i -lt 150000 ]; do i=$((i + 1)); done'; } 2>&1); [[ $t > 0.00 ]] && echo 'children count'
times | wc -l
