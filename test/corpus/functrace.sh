# SPDX-License-Identifier: MIT
# DEBUG and RETURN traps with and without set -T, around external commands.
f() { cut -c1 <<<abc; }
g() { f | cat; }
trap 'echo "D: $BASH_COMMAND"' DEBUG
f
x=$(f)
trap - DEBUG
echo '-- functrace'
set -T
trap 'echo "D: $BASH_COMMAND" >&2' DEBUG
trap 'echo "R: ${FUNCNAME[0]}" >&2' RETURN
f 2>&1
(f) 2>&1
x=$(f 2>&1); echo "$x"
trap - DEBUG RETURN
set +T
declare -ft f
trap 'echo "T: $BASH_COMMAND"' DEBUG
f
trap - DEBUG
echo end
