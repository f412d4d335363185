# SPDX-License-Identifier: MIT
# Commands in a loop's body that eat the loop's input, and how the rest is shared.
# stdin: one
# stdin: two
# stdin: three
# stdin: four
# stdin: five
# stdin: six
read -r a; echo "read $a"
head -n 1
read -r b; echo "read ${b-nothing}"
while read -r x; do echo "loop $x"; cat >eaten; done
cat eaten
seq 6 >f
while read -r x; do echo "x=$x"; head -n 1; done <f
while read -r x; do echo "x=$x"; sed -n 1q; done <f
while read -r x; do echo "x=$x"; tail -c 4 >/dev/null; done <f
while read -r x; do echo "x=$x"; cut -c1 </dev/null; done <f | wc -l
seq 6 | while read -r x; do echo "x=$x"; cat >/dev/null; done
seq 6 | { read -r x; dd bs=1 count=2 2>/dev/null; read -r y; echo "$x $y"; cat; }
{ read -r x; echo "$x"; (read -r y; echo "sub $y"); sed 's/^/rest /'; } <f
x=$(head -n 1; cat) <f; echo "$x"
f() { read -r x; echo "f $x"; grep -c .; }; f <f
