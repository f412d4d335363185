# SPDX-License-Identifier: MIT
# Here-documents on other descriptors, several at once, kept open, read piecewise.
exec 5<<END
line 1
line 2
line 3
END
read -r a <&5; echo "$a"
head -n 1 <&5
cat <&5
exec 5<&-
cat 3<<A 4<<B <<C /dev/fd/3 /dev/fd/4 -
three
A
four
B
zero
C
while read -r x <&6 && read -r y <&7; do echo "$x$y" | tr a-z A-Z; done 6<<A 7<<B
a
b
A
c
d
B
exec {fd}<<<"named"
sed 's/n/N/' <&$fd
exec {fd}<&-
cat /dev/fd/9 9<<<"nine"
