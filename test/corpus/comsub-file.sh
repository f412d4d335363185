# SPDX-License-Identifier: MIT
# $(<file) and its likes: no command is launched, missing files, special files, in pipelines.
seq 3 >f; x=$(<f); echo "$x" | paste -s; x=$(< nosuchfile); echo "$? <$x>"; x=$(<f cat); echo "${#x}"; echo "$(<f)" "$(<f; echo never 2>&1)" | wc -l
x=`<f`; echo "${#x}"; v=f; x=$(<$v); echo "${#x}"; x=$(<"$(echo f)"); echo "${#x}"; x=$(</dev/null); echo "<$x>"; x=$(<<<string); echo "<$x>"; x=$(</dev/stdin) <<<given; echo "<$x>"
x=$(</proc/self/comm); echo "$x"; (x=$(<f); echo "$x" | tail -n 1); echo $(($(<f wc -l) + 1)); y=$(<f) z=$(cat f); [ "$y" = "$z" ] && echo same; x=$(<.); echo $?
