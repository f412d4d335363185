# SPDX-License-Identifier: MIT
# stdin, stdout or stderr closed or full, for commands and for the whole script.
exec 3>&1 4>&2
cut -c1 <<<abc >&-; echo $?; cat <&-; echo $?; ls nosuch 2>&-; echo $?; cut -c1 <&- >&- 2>&-; echo $?; seq 3 >/dev/full; echo $?; (exec >&-; cut -c1 <<<abc; echo $? >&3; /bin/echo x; echo $? >&3); (exec <&-; cat; echo $?; head -n 1 </dev/null; echo $?; ls /proc/self/fd | paste -s); (exec 2>&-; ls nosuch; echo $?; nosuchcommand-xyz; echo $?; ls /proc/self/fd | paste -s); (exec <&- 2>&-; x=$(ls /proc/self/fd); echo "$x" | paste -s; echo a | cat); (exec 0<&- 1>&- 2>&-; x=$(echo a | tr a b); echo "$x" >&3; ls /proc/self/fd >&3; true | cat); exec <&-; cut -c1 <<<abc; read -r x; echo $?; echo a | tr a b; y=$(cat <<END
in
END
); echo "$y"; mapfile -t z < <(seq 2); echo "${z[*]}"; ls /proc/self/fd | paste -s; exec 2>&-; ls nosuch; ls /proc/self/fd | paste -s; exec 2>&4; seq 3 | head -n 1; exec >/dev/full; seq 1; echo $? >&3; /bin/echo x | cat; echo "${PIPESTATUS[*]}" >&3
