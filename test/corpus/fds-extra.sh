# SPDX-License-Identifier: MIT
# Descriptors the script opens: numbers given by bash, what is inherited, flags of exec.
fds() { ls /proc/self/fd | paste -s; }
exec 3</dev/null 4>f 9<>g; fds; fds | cat; (fds); echo "$(fds)"; ls /proc/self/fd 4>&- | paste -s; exec 4>&-; fds
exec {a}</dev/null; echo "$a"; exec {b}>h {c}<h; echo "$b $c"; fds; exec {b}>&-; fds; exec {d}</dev/null; echo "$d"; (exec {e}</dev/null; echo "$e"; fds); cut -c1 <<<abc; exec {e}</dev/null; echo "$e"; exec {a}<&- {c}<&- {d}<&- {e}<&-; fds
exec 20>f 30>&20; fds; exec 200</dev/null; fds; exec 200<&- 20>&- 30>&- 3<&- 9<&-; fds; (ulimit -n 64; exec {a}</dev/null; echo "$a"; fds); shopt -s varredir_close 2>/dev/null; { fds; } {v}</dev/null; echo "$v"; fds; true {w}</dev/null; fds; coproc cat; echo "${COPROC[*]}"; fds; exec {COPROC[1]}>&-; wait; fds; exec {p}< <(echo x); echo "$p"; fds; cat <&$p; exec {p}<&-; cat <(fds) <(fds); echo <(:) | sed 's/6[0-9]/N/'; while read -r x <&$q; do fds; done {q}<<<x; fds; exec 255</dev/null; fds; exec 10</dev/null; fds; read -r l <f; cut -c1 <<<still-running; fds
