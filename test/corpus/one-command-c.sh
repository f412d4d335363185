# SPDX-License-Identifier: MIT
# mode: command
tr a-z A-Z <<<"a single command: ${BASH_VERSION%%.*}"
