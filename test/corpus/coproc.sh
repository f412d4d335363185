# SPDX-License-Identifier: MIT
# Coprocesses: anonymous and named, made of one command and of many.
coproc { while read -r l; do echo "got $l" | tr a-z A-Z; done; exit 4; }
pid=$COPROC_PID
echo hello >&"${COPROC[1]}"; read -r r <&"${COPROC[0]}"; echo "$r"
/bin/echo world >&"${COPROC[1]}"; head -n 1 <&"${COPROC[0]}"
exec {COPROC[1]}>&-
wait "$pid"; echo "status $?"
coproc CALC { cat -n; }
exec {in}<&"${CALC[0]}"; pid=$CALC_PID # a copy: bash closes its own when the coprocess ends
seq 2 >&"${CALC[1]}"
exec {CALC[1]}>&-
cat <&"$in"; wait "$pid"; echo "status $?"
coproc sort -r; pid=$COPROC_PID
exec {copy}<&"${COPROC[0]}"
seq 3 >&"${COPROC[1]}"; exec {COPROC[1]}>&-
cat <&"$copy"; wait "$pid"; echo "status $?"
exec {copy}<&-
echo "${COPROC_PID-gone}"
