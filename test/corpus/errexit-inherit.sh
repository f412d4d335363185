# SPDX-License-Identifier: MIT
# set -e is dropped in $( ) unless inherit_errexit or posix mode says otherwise.
set -e
echo "default: $(grep -q x </dev/null; echo goes on)"
shopt -s inherit_errexit
echo "inherit: $(grep -q x </dev/null; echo never)"
x=$(echo a; shopt -u inherit_errexit; y=$(grep -q x </dev/null; echo b); echo "$y"); echo "$x"
(set -o posix; shopt -u inherit_errexit 2>/dev/null; echo "posix: $(/bin/false; echo "$-" | tr -dc e)")
trap 'echo "ended by $?"' EXIT
z=$(sh -c 'exit 42'; echo never)
echo never
