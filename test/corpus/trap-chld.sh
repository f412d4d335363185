# SPDX-License-Identifier: MIT
# A CHLD trap fires once for each child that ended, foreground ones as well.
n=0
trap 'n=$((n + 1))' CHLD
/bin/true; echo $n
/bin/true; /bin/false; echo $n
x=$(echo a | cat); echo "$x $n"
sh -c 'exit 3'; echo "$? $n"
n=0; /bin/true & wait $!; echo $n
n=0; for i in 1 2 3 4 5; do cut -c1 <<<"$i" >/dev/null; done; echo $n
trap 'echo chld' CHLD
/bin/true
(exit 0)
trap '' CHLD
/bin/true; echo $?
sh -c 'exit 4'; echo $?
trap - CHLD
/bin/true
echo end
