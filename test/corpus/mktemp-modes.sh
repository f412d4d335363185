# SPDX-License-Identifier: MIT
# mktemp and files made by commands: their exact modes, also under odd umasks.
t=$(mktemp); stat -c %a "$t"; case $t in "$TMPDIR"/tmp.??????????) echo name ;; esac; rm "$t"
d=$(mktemp -d); stat -c %a "$d"; rmdir "$d"; u=$(mktemp -u); [ -e "$u" ] || echo absent
t=$(umask 0; mktemp ./here.XXXX); stat -c %a "$t"; mv "$t" here
umask 0377; t=$(mktemp -p .); stat -c %a "$t"; rm -f "$t"; umask 022
for i in 1 2 3 4 5 6 7 8; do mktemp -u; done | sort -u | wc -l
seen=$(for i in 1 2 3 4 5 6 7 8 9 10; do x=$(mktemp -u); echo "$x"; done | sort -u | wc -l); echo "$seen"
x=$(mktemp -u); y=$(mktemp -u); [ "$x" != "$y" ] && echo differ
(mktemp -u; mktemp -u) | uniq | wc -l; TMPDIR=/nosuchdirectory mktemp 2>/dev/null; echo $?
mktemp --suffix=.x -p . abcXXX | wc -c; rm -f ./abc*; shuf -i 1-1000000 -n 1 >r1; shuf -i 1-1000000 -n 1 >r2; cmp -s r1 r2; echo $?; rm r1 r2
for i in 1 2 3 4; do awk 'BEGIN { srand(); print 1 }'; done | wc -l; sort -R <(seq 20) | sort -n | cksum; ls
