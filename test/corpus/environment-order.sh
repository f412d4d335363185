# SPDX-License-Identifier: MIT
# The order of the environment as commands get it, unsorted, as variables come and go.
names() { sed 's/=.*//' | paste -s; }
env | names; cat /proc/self/environ | tr '\0' '\n' | names; export ZZ=1 AA=2 MM=3; env | names; env | names | cat; (env | names); echo "$(env | names)"; (export SUB=1; env | names); AA=9 env | names; NEW=1 OTHER=2 env | names; unset MM; env | names; export MM=4; env | names; ZZ=changed; env | names; env | grep ^ZZ
export -n AA; env | names; declare -x DD=5; typeset -x EE; env | names; EE=6; env | names; f() { local -x LL=1; env | names; }; f; env | names; readonly ZZ; env | names; A1=1 sh -c 'env' | names; env -i A=1 B=2 env; env -u HOME env | names; set -a; auto=1; set +a; env | names; printenv AA DD; awk 'BEGIN { for (k in ENVIRON) n++; print n }'; /usr/bin/printenv | names; export -p | wc -l; bash -c 'env' | names; exec env | names
