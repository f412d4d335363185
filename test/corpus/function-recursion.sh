# SPDX-License-Identifier: MIT
# Recursive functions that launch a command at each level.
fact() { if [ "$1" -le 1 ]; then echo 1; else expr "$1" \* "$(fact $(($1 - 1)))"; fi; }; fact 10
fib() { (($1 < 2)) && { echo "$1"; return; }; expr $(fib $(($1 - 1))) + $(fib $(($1 - 2))); }; fib 7
walk() { local f; for f in "$1"/*; do [ -d "$f" ] && walk "$f"; basename "$f"; done; }
mkdir -p t/a/b t/c; touch t/a/b/x t/c/y; walk t
hanoi() { (($1)) || return 0; hanoi $(($1 - 1)) "$2" "$4" "$3"; echo "$2$3" | cat; hanoi $(($1 - 1)) "$4" "$3" "$2"; }; hanoi 4 a b c | cksum
FUNCNEST=5; deep() { echo "${#FUNCNAME[@]}" | cat; deep; }; deep 2>&1; echo $?
unset FUNCNEST
count() { echo x; [ "$1" -gt 0 ] && (count $(($1 - 1))); }; count 10 | wc -l
