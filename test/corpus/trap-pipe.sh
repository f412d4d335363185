# SPDX-License-Identifier: MIT
# SIGPIPE: default, trapped and ignored; ignored ones are inherited by commands.
(echo a; /bin/echo b; seq 100000; echo "status $?" >&2) 2>status | head -n 1; cat status
(trap 'echo "trapped" >&2' PIPE; seq 100000; echo "seq $?" >&2) 2>status | head -n 1; cat status
(trap '' PIPE; seq 100000 2>error; echo "seq $?" >&2) 2>status | head -n 1; cat status error
(trap '' PIPE; yes 2>error; echo "yes $?" >&2) 2>status | head -n 1; cat status error
trap '' PIPE
yes 2>/dev/null | head -n 1; echo "${PIPESTATUS[*]}"
trap - PIPE
yes | head -n 1; echo "${PIPESTATUS[*]}"
