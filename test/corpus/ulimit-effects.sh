# SPDX-License-Identifier: MIT
# Limits that bite: file size, open files, address space, in commands and in the shell.
exec 2>&1
(ulimit -f 1; seq 1000 >big; echo $?; wc -c <big)
(ulimit -f 1; head -c 3000 /dev/zero | cat >big; echo "${PIPESTATUS[*]}")
(ulimit -f 1; trap '' XFSZ; seq 1000 >big; echo $?)
(ulimit -n 5; cat /dev/null /dev/null; echo $?; exec 3</dev/null 4</dev/null; cat <(echo x) 2>/dev/null | wc -l)
(ulimit -n 3; cut -c1 </dev/null; echo $?)
(ulimit -n 9; exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null 8</dev/null; cut -c1 /dev/null; echo $?)
(ulimit -v 200; cut -c1 <<<abc >/dev/null; echo "cut could not start: $(($? != 0))") 2>/dev/null
(ulimit -t 1; cut -c1 <<<abc); (ulimit -s 256; cut -c1 <<<small; sort <<<stack)
(ulimit -s 100; /bin/true $(seq 20000); echo $?) 2>&1 | sed 's/.*: //'
cut -c1 <<<normal
