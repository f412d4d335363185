# SPDX-License-Identifier: MIT
# An environment of 200 KiB in many variables and in large ones.
printf -v zeros '%0100d' 0; for i in $(seq 2000); do export "V$i=$zeros"; done
env | wc -c | awk '{ print $1 > 200000 }'; env | grep -c '^V'; env | grep -c '^V' | cat; x=$(env | cksum); y=$(env | cksum); [ "$x" = "$y" ] && echo stable; (env | grep -c '^V'); cut -c1 <<<abc; sh -c 'echo ${#V7}'
unset "${!V@}"; env | grep -c '^V'; export BIG; BIG=$(head -c 130000 /dev/zero | tr '\0' x); env | grep ^BIG= | wc -c; echo a | tr a b | sed s/b/c/; awk 'BEGIN { print length(ENVIRON["BIG"]) }'
BIG=$BIG$BIG; cut -c1 <<<abc; echo $?; /bin/true; echo $?; unset BIG; cut -c1 <<<abc; export MULTI=$'a\nb\nc=d' EMPTY= ; env | grep -A 2 ^MULTI; env | grep ^EMPTY; BYTES=$'\xff\xfe' env | grep -a ^BYTES | od -An -tx1; cat /proc/self/environ | tr '\0' '@' | grep -ao 'MULTI=[^@]*' | wc -l
