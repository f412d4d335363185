# SPDX-License-Identifier: MIT
# Under set -e the script's own status is that of the command that failed.
set -eu -o pipefail
echo start
printf '%s\n' b a | sort
seq 3 | awk '$1 == 2 { exit 17 }'
echo never
