# SPDX-License-Identifier: MIT
# What a script can list of its shell is not changed by launching commands.
state() {
  declare -F; declare -p | grep -vE '^declare -[a-zA-Z-]+ (BASH|_|RANDOM|SRANDOM|SECONDS|EPOCH|PIPESTATUS|FUNCNAME|LINENO|state|before|after|n=)' | grep -v 'declare -- \(before\|after\|n\)='
  set -o; shopt; alias; trap; jobs; dirs; umask; ulimit -a; enable -a; compgen -A variable | grep -vx 'before\|after\|n'
}
before=$(state)
for n in 1 2 3; do cut -c1 <<<abc; sed -n 1p /dev/null; echo x | tr x y; done >/dev/null
x_unused=$(date -d @0 +%Y | grep -c 1970); unset x_unused
after=$(state)
[ "$before" = "$after" ] && echo same || diff <(echo "$before") <(echo "$after")
echo "$before" | grep -c .
echo "$-"; echo "$BASH_SUBSHELL $SHLVL $#"
declare -p BASH_LOADABLES_PATH BASH_ENV ENV POSIXLY_CORRECT LD_PRELOAD 2>&1 | sed 's/.*: declare/declare/'
