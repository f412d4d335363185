# SPDX-License-Identifier: MIT
# No stranger turns up among the script's children: wait, wait -n and jobs see own ones only.
for i in $(seq 20); do cut -c1 <<<x; done >/dev/null
wait; echo "wait $?"; wait -n; echo "wait -n $?"; jobs; echo "jobs $?"; trap 'echo chld' CHLD; :; :; trap - CHLD
sh -c 'exit 3' & wait -n; echo $?; cut -c1 <<<x; (wait -n; echo "in subshell $?"); x=$(wait; echo "$?"); echo "$x"; for i in 1 2 3; do sh -c "exit $i" & done; wait; echo "all $?"; n=0; trap 'n=$((n + 1))' CHLD; for i in $(seq 10); do sed -n 1p </dev/null; done; echo "$n"; (:); echo "$n"; x=$(:); echo "$n"; trap - CHLD; jobs >/dev/null; set -m; cut -c1 <<<m; jobs; sleep 0 & wait; set +m; bash -c 'wait; echo $?'
