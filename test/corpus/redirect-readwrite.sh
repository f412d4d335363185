# SPDX-License-Identifier: MIT
# <> and shared offsets between the shell and what it launches; append against truncate.
printf '%s\n' one two three four >f
exec 3<>f
read -r a <&3; echo "$a"
head -c 4 <&3
echo XXXXX >&3
cat <&3
exec 3>&-; cat f
exec 4<f; sed -n 1q <&4; cat <&4 | wc -c; exec 4<&-
exec 4<f 5<&4; head -c 2 <&4 >/dev/null; head -c 2 <&5; echo; exec 4<&- 5<&-
(read -r l; echo "$l"; head -n 1 >/dev/null; cat) <f
echo abc 1<>f; cat f
exec 6>>f; echo end >&6; echo start >f; echo more >&6; cat f; exec 6>&-
cat <>newfile; ls newfile
sh -c 'echo a; echo b' >g; (seq 2; sh -c 'seq 3 4'; echo 5) >>g; cat g
