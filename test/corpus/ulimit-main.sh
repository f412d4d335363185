# SPDX-License-Identifier: MIT
# Limits lowered in mid-script are those of every later child.
show() { grep -E '^Max (open files|file size|core|stack|cpu|address|data|processes)' /proc/self/limits | tr -s ' '; }
show
ulimit -S -n 200; ulimit -n; sh -c 'ulimit -n'
ulimit -S -f 100000; ulimit -S -s 4096; ulimit -S -t 500; ulimit -S -v 4000000; ulimit -S -d 3000000; ulimit -S -c 0
show
bash -c 'ulimit -a' | sed 's/.*) //' | paste -s
show | cat
(show | cksum)
x=$(show); echo "$x" | wc -l
ulimit -n 100; ulimit -Hn; sh -c 'ulimit -Hn'
ulimit -n 150; echo $?
ulimit -S -n 50; cut -c1 <<<abc; ulimit -n hard; cut -c1 <<<abc; sh -c 'ulimit -n'
ulimit -q 2>&1 | head -c 0; ulimit -Z; echo $?; ulimit -n notanumber; echo $?
