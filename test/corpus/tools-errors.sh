# SPDX-License-Identifier: MIT
# Tools' own errors: message, status, program name, stderr order against stdout.
exec 2>&1
for c in 'cut' 'cut -c0' 'sort -k' 'head -n x' 'tail -c y' 'tr' 'tr a' 'wc --nosuch' 'grep' 'grep -E (' 'sed' 'sed s/a' 'awk' 'awk {' 'find nosuch' 'ls nosuch' 'cat nosuch' 'rm nosuch' 'mv nosuch x' 'cp nosuch x' 'mkdir .' 'rmdir nosuch' 'stat nosuch' 'chmod 999 x' 'date -d nonsense' 'seq x' 'expr 1 +' 'test a b' 'mktemp nosuchdir/XXXX' 'touch nosuch/x' 'ln' 'basename' 'xargs -Z' 'env -Z' 'sleep x' 'tee nosuch/x' 'od nosuch' 'paste nosuch' 'comm a' 'uniq nosuch' 'curl -s nosuch://x' 'diff a' 'cmp nosuch nosuch2' 'readlink nosuch' 'timeout' 'kill' 'nice -n x true'; do $c </dev/null; echo "$c: $?"; done
echo out; ls nosuch; echo out again; sh -c 'echo o; echo e >&2; echo o'; seq 2 >/dev/full; echo $?; cut -c1 <<<x >/dev/full; echo $?; cat f nosuch </dev/null; ls -d . nosuch /; echo $?
