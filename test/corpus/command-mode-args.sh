# SPDX-License-Identifier: MIT
# mode: command
# args: 'first arg' '' second
# The same with arguments: $0 is the first word after the commands.
echo "$# $0" | sed 's,.*/,,'
/usr/bin/printf '<%s>' "$@"; echo
set -e; nosuchcommand-xyz || echo $?
trap 'cut -c1 <<<trapped' EXIT
cat <<END | tr a-z A-Z
document
END
(exec sh -c 'exit 6') || echo $?
seq 3 | tail -n 1
