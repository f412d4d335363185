# SPDX-License-Identifier: MIT
# RETURN trap after functions and sourced files, with commands run in it.
echo 'seq 2 | tail -n 1; return 3' >lib
f() { echo f | cat; return 5; }
trap 'echo "returned $? from ${FUNCNAME[0]}" | cat' RETURN
. ./lib; echo "status $?"
f; echo "status $?"
g() { trap 'echo "own trap" | rev' RETURN; f; }
g; echo "status $?"
trap - RETURN
f
