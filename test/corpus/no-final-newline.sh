# SPDX-License-Identifier: MIT
# No newline after the last command.
seq 2 | tail -n 1
exec cut -c1 <<<last