# SPDX-License-Identifier: MIT
# A script that adds to itself while it runs: bash reads it piece by piece.
cut -c1 <<<start
case $0 in *.sh) echo 'echo "appended, line $LINENO"; seq 2 | tail -n 1' >>"$0" ;; esac
f() { rev <<<"$1"; }
f ab
case $0 in *.sh) echo 'f "appended last"; cut -c1 <<<z' >>"$0" ;; esac
grep -c . <<<x
