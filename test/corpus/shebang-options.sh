#!/bin/bash -eu
# SPDX-License-Identifier: MIT
# Options in the shebang: `bash FILE` does not see them.
echo "$-"; grep -q x </dev/null; cut -c1 <<<"goes on$nothing"; seq 2 | tail -n 1
