# SPDX-License-Identifier: MIT
# command_not_found_handle: its arguments, status, where it runs, what it may launch.
command_not_found_handle() { echo "handle: $* ($#)" | tr a-z A-Z; v=changed; [ $$ = $BASHPID ] && echo shell || echo child; return 42; }
nosuchcommand-xyz a 'b c'; echo "$? ${v-unset}"; nosuchcommand-xyz | cat; echo "${PIPESTATUS[*]}"; x=$(nosuchcommand-xyz); echo "$x $?"; (nosuchcommand-xyz); echo $?; ./nosuchfile; echo $?; nosuchcommand-xyz >out 2>&1; cat out; X=1 nosuchcommand-xyz; nosuchcommand-xyz & wait $!; echo $?; cut -c1 <<<abc; command nosuchcommand-xyz; echo $?; echo input | nosuchcommand-xyz
command_not_found_handle() { cat; exit 7; }; nosuchcommand-xyz <<<stdin; echo $?; unset -f command_not_found_handle; nosuchcommand-xyz; echo $?
# A handler whose own commands are not found would call itself for ever: builtins only.
command_not_found_handle() { echo "found nothing of: $*"; return 3; }; PATH=/nosuch cut -c1 <<<abc; echo $?; (PATH=/nosuch; cut -c1; echo $?)
