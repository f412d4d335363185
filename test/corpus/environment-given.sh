# SPDX-License-Identifier: MIT
# env: GIVEN=from outside
# env: EMPTY=
# env: LC_ALL=C
# env: OLDPWD=/nosuchdirectory
# env: PREWARMING=kept
# env: LD_LIBRARY_PATH=/nosuchlib
# Variables from outside: order, odd values, loader variables, all handed on.
echo "$_" "$GIVEN" "${EMPTY-unset}"; env | sed 's/=.*//' | paste -s; env | grep -E '^(GIVEN|EMPTY|LC_ALL|OLDPWD|PREWARMING|LD_LIBRARY_PATH)='; cat /proc/self/environ | tr '\0' '\n' | grep -E '^(GIVEN|LD_)'; x=$(env | grep -c .); echo "$x"; echo | env | grep ^LD; (env | grep ^LD; :); export -p | grep -c GIVEN; unset LD_LIBRARY_PATH; env | grep ^LD; cut -c1 <<<abc; printf 'é' | wc -m; unset LC_ALL; printf 'é' | wc -m; echo "$OLDPWD"; cd - 2>&1; declare -p _ | wc -l; compgen -e | sort | paste -s
