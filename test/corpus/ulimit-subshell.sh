# SPDX-License-Identifier: MIT
# Limits lowered in a subshell, substitution or pipeline element end with it.
stack() { sed -n 's/^Max stack size *\([^ ]*\).*/\1/p' /proc/self/limits; }
files() { awk '/^Max open files/ { print $4 }' /proc/self/limits; }
before=$(files)
(ulimit -S -n 77; files; sh -c 'ulimit -n'; files | cat; echo "$(files)")
x=$(ulimit -S -s 2048; stack; sh -c 'ulimit -s'); echo "$x"
ulimit -S -n 66 | cat; [ "$(files)" = "$before" ] && echo unchanged
{ ulimit -S -n 55; files; } | cat
(ulimit -S -n 44; (ulimit -S -n 33; files); files)
f() (ulimit -S -n 22; files); f
(ulimit -S -f 0; echo x >file; echo "never: died of XFSZ"); echo $?
[ "$(files)" = "$before" ] && echo unchanged; wc -c <file
{ ulimit -S -n 88; files; } & wait; [ "$(files)" = "$before" ] && echo unchanged
