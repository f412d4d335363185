# SPDX-License-Identifier: MIT
# Every exit status from 0 to 255 of a command, and statuses that are out of range.
for s in $(seq 0 255); do sh -c "exit $s"; r=$?; [ $r = $s ] || echo "$s gave $r"; done; echo done
for s in 0 1 2 126 127 128 130 137 255; do x=$(sh -c "exit $s"); printf '%s ' $?; (exit $s); printf '%s ' $?; echo | sh -c "cat >/dev/null; exit $s"; printf '%s\n' $?; done
(exit 256); echo $?; (exit 300); echo $?; (exit -1); echo $?; (exit abc) 2>/dev/null; echo $?
grep -q x </dev/null; echo $?; grep -q x /nosuchfile 2>/dev/null; echo $?; cmp -s /dev/null /etc/passwd; echo $?; diff /dev/null /nosuch 2>/dev/null; echo $?
expr 0; echo $?; expr 1 \< 2; echo $?; expr a + 1 2>/dev/null; echo $?; test x; echo $?; ls --nosuch 2>/dev/null; echo $?
find /nosuch 2>/dev/null; echo $?; xargs false </dev/null; echo $?; echo | xargs sh -c 'exit 3'; echo $?; echo | xargs sh -c 'exit 255' 2>/dev/null; echo $?; env nosuchcommand 2>/dev/null; echo $?
curl -s file:///nosuchfile; echo $?; awk 'BEGIN{exit 77}'; echo $?; sed -n 'q33' <<<x; echo $?; sort -c <<<$'b\na' 2>/dev/null; echo $?; : ; echo $?
exit 200
