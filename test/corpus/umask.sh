# SPDX-License-Identifier: MIT
# umask in the shell and in subshells, as children and new files see it.
umask; umask -S; umask -p; sh -c umask
grep Umask /proc/self/status
touch a; mkdir da; seq 1 >ra
umask 077; grep Umask /proc/self/status; touch b; mkdir db; seq 1 >rb; sh -c umask
grep Umask /proc/self/status | cat; x=$(umask; grep Umask /proc/self/status); echo "$x"
(umask 027; grep Umask /proc/self/status; touch c; mkdir dc; seq 1 | tee rc >/dev/null; umask); umask
x=$(umask 0; touch d; seq 1 >rd; mkdir dd); umask 0777 | cat; umask
umask u=rwx,g=rx,o=; umask -S; touch e; cp a ce; install -m 640 a ie; ln -s a le; mkfifo fe
umask 022; umask 888; echo $?; umask +w; umask; umask g-w; umask 022
{ umask 07; touch f; grep Umask /proc/self/status; } | cat; umask 0111; mkdir dg; rmdir dg; umask 022
stat -c '%a %n' -- * | sort -k 2
