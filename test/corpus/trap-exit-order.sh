# SPDX-License-Identifier: MIT
# The EXIT trap runs after everything else, also when an error ends the script.
trap 'echo "line $LINENO status $?" >>log; cat log; rm log' EXIT
echo first >log
seq 2 >>log
unset -v nothing
set -u
echo "$nothing"
echo never >>log
