# SPDX-License-Identifier: MIT
# The descriptors that commands find open, in each kind of position.
fds() { sed -E 's,pipe:\[[0-9]+\],pipe,; s,/proc/[0-9]+/fd,SELF,; s,.*/(f|g|h)$,\1,' | paste -s; }
l() { find /proc/self/fd -mindepth 1 -printf '%f=' -exec readlink {} \; ; }
find /proc/self/fd -printf '%f %l\n' >f; fds <f
ls -l /proc/self/fd >f; sed -E 's/.* ([0-9]+ -> )/\1/; /^total/d' f | fds
ls /proc/self/fd | paste -s; x=$(ls /proc/self/fd); echo "$x" | paste -s; (ls /proc/self/fd; :) | paste -s; (ls /proc/self/fd) >f; paste -s f; ls /proc/self/fd </dev/null 2>/dev/null | paste -s; ls /proc/self/fd | cat | paste -s; echo | ls /proc/self/fd | paste -s; ls /proc/self/fd & wait; cat <(ls /proc/self/fd) | paste -s; ls /proc/self/fd <<<here | paste -s; ls /proc/self/fd 5</dev/null | paste -s; ls /proc/self/fd <<A 7<<B | paste -s
a
A
b
B
ls /proc/self/fd <&- 2>&1 | paste -s; ls /proc/self/fd 2>&- | paste -s; (exec ls /proc/self/fd) | paste -s; f() { ls /proc/self/fd; }; f | paste -s; f 4>g >h; paste -s h; while read -r _; do ls /proc/self/fd | paste -s; done <<<x; while read -r _ <&6; do ls /proc/self/fd | paste -s; done 6<<<x; { ls /proc/self/fd; } 3>g 4>&3 | paste -s; . /dev/stdin <<<'ls /proc/self/fd' | paste -s; eval 'ls /proc/self/fd' | paste -s; trap 'ls /proc/self/fd | paste -s' EXIT; echo a | while read -r _; do ls /proc/self/fd | paste -s; done; for i in 1; do ls /proc/self/fd; done 8>g | paste -s; x=$(ls /proc/self/fd 2>&1 </dev/null; ls /proc/self/fd | cat); echo "$x" | paste -s; env ls /proc/self/fd | paste -s; bash -c 'ls /proc/self/fd; :' | paste -s
