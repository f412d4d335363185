# SPDX-License-Identifier: MIT
# Which stream goes through the pipe: |&, 2>&1 |, and redirections before and after.
both() { echo out; echo err >&2; }
both 2>/dev/null | sed 's/^/A:/'
both 2>&1 | sed 's/^/B:/'
both |& sed 's/^/C:/'
both 2>&1 >/dev/null | sed 's/^/D:/'
sh -c 'echo out; echo err >&2' |& sort | sed 's/^/E:/'
sh -c 'echo out; echo err >&2' 2>&1 >file | sed 's/^/F:/'; cat file
{ both; ls nosuchfile; } 2>errors | cat; cat errors
ls nosuchfile |& wc -l
both 3>&1 1>&2 2>&3 3>&- | sed 's/^/swapped:/'
cat nosuchfile1 2>/dev/null |& cat nosuchfile2 |& sed 's/^/G:/'
