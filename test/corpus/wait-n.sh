# SPDX-License-Identifier: MIT
# wait -n, wait -p and wait -f; the order of ends is made by fifos.
mkfifo a b
sh -c 'cat a >/dev/null; exit 11' & first=$!
sh -c 'cat b >/dev/null; exit 12' & second=$!
echo >b; wait -n -p who; echo "$? $([ "$who" = $second ] && echo second)"
echo >a; wait -n -p who; echo "$? $([ "$who" = $first ] && echo first)"
wait -n; echo "nothing left: $?"
wait -n -p who; echo "$? ${who-unset}"
sh -c 'exit 13' & wait -p who $!; echo "$? $([ "$who" = $! ] && echo same)"
sh -c 'cat a >/dev/null; exit 14' & one=$!
sh -c 'cat b >/dev/null; exit 15' & two=$!
echo >a; wait -n $one $two; echo $?
echo >b; wait -n $two; echo $?
sh -c 'exit 16' & wait -f $!; echo $?
cut -c1 <<<foreground; wait -n; echo $?
