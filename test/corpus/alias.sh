# SPDX-License-Identifier: MIT
# Aliases of commands, turned on at run time; they are read with the line, not run.
cat() { command cat "$@"; }
alias cut='echo alias'
cut -c1 <<<abc
shopt -s expand_aliases
cut -c1 <<<abc
\cut -c1 <<<abc; 'cut' -c2 <<<abc; command cut -c3 <<<abc
alias up='tr a-z A-Z' first='head -n 1 ' number='cat -n'
echo x | up; seq 2 | first | number | tr -s ' \t' ' '
alias seq='seq -s,'; seq 3; unalias seq; seq 1
f() { up <<<"in f"; }; f; unalias up; f; up; echo $?
alias now='echo one
echo two'; now
alias e='echo '; alias word=WORD; e word word
x=$(alias; echo end); echo "$x" | wc -l
(unalias -a; cut -c1 <<<abc); eval 'cut evaluated'
alias ls=nosuchcommand-xyz; ls; echo $?; unalias ls; ls | wc -l
shopt -u expand_aliases; alias wc='echo never'; wc -c </dev/null
