# SPDX-License-Identifier: MIT
# exit in subshells, functions, groups, pipelines, loops, traps, sourced files and eval.
(exit 3); echo $?; { (exit 4); }; echo $?; x=$(exit 5); echo $?; exit 6 | cat; echo "${PIPESTATUS[*]}"; cat /dev/null | exit 7; echo $?
f() { exit 8; }; (f; echo never); echo $?; echo | while read -r _; do exit 9; done; echo $?; echo 'exit 10' >lib; (. ./lib; echo never); echo $?
(eval 'exit 11'; echo never); echo $?; (trap 'exit 12' EXIT; exit 1); echo $?; (trap 'exit 13' USR1; env kill -USR1 $BASHPID; echo never); echo $?
(sh -c 'exit 14'; exit); echo $?; (trap 'exit' EXIT; sh -c 'exit 15'); echo $?; (trap 'cat /dev/null; exit' EXIT; exit 16); echo $?
exit 17 & wait $!; echo $?; (set -e; f() { (exit 18); }; f); echo $?; : "$(exit 19)"; echo $?; (exec sh -c 'exit 20'); echo $?
(cd /nosuch 2>/dev/null || exit 21); echo $?; if (exit 22); then :; else echo $?; fi; case $(exit 23) in *) echo $? ;; esac
sh -c 'exit 24' || exit 25 | cat; echo "${PIPESTATUS[*]}"; { exit 26; echo never; } | cat; exit "$(echo 27)"
