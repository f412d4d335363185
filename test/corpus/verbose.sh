# SPDX-License-Identifier: MIT
# set -v shows lines as they are read; with commands that print in between.
exec 2>&1
set -v
cut -c1 <<<abc
echo a |
  tr a b
x=$(echo in
echo multi | cat)
f() {
  rev <<<ab
}
f; f
set +v
seq 2
(set -v; eval 'cut -c1 <<<e'); echo 'set -v
wc -c </dev/null' >lib; . ./lib
set +v; bash -v -c 'cut -c1 <<<x
echo y | cat'; set -n; echo never
