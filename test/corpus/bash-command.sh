# SPDX-License-Identifier: MIT
# BASH_COMMAND and BASH_EXECUTION_STRING as commands and traps see them.
trap 'echo "cmd: $BASH_COMMAND" | cat' USR1
env kill -USR1 $$
echo "$BASH_COMMAND" | cat
x=$(echo "$BASH_COMMAND" | cat); echo "$x"
trap 'printf "%s\n" "$BASH_COMMAND" | rev' ERR
grep -q x </dev/null
A=1 grep -q "$(echo x)" <<<y >out 2>&1
trap - ERR
f() { echo "$BASH_COMMAND" | cat; }; f
bash -c 'echo "$BASH_EXECUTION_STRING" | cat; cut -c1 <<<x'
trap 'echo "last was: $BASH_COMMAND" | cat' EXIT
cut -c1 <<<end
