# SPDX-License-Identifier: MIT
# set -o pipefail: the last failing element decides.
show() { echo "$1 -> $2"; }
set -o pipefail
/bin/false | /bin/true; show 'false|true' $?
sh -c 'exit 3' | sh -c 'exit 4' | cat; show '3|4|0' $?
echo a | grep a | grep b | cat; show grep $?
! sh -c 'exit 3' | cat; show negated $?
(set +o pipefail; sh -c 'exit 3' | cat; show 'off in subshell' $?)
x=$(sh -c 'exit 5' | cat); show comsub $?
if grep -q zzz </dev/null | cat; then echo then; else echo else; fi
while sh -c 'exit 2' | cat; do echo never; done; show while $?
set +o pipefail
sh -c 'exit 3' | cat; show off $?
[[ -o pipefail ]] || echo 'pipefail is off'
