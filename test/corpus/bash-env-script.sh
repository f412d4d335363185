# SPDX-License-Identifier: MIT
# env: BASH_ENV=./preload-that-does-not-exist
# BASH_ENV in the environment of the script itself: kept for its children.
env | grep ^BASH_ENV; echo "$BASH_ENV"; cut -c1 <<<abc; bash -c 'echo child' 2>&1; echo 'echo from the file; f() { echo f | cat; }' >preload-that-does-not-exist; bash -c 'f'; (bash -c f); x=$(bash -c f); echo "$x"; unset BASH_ENV; bash -c 'echo without'; env | grep -c BASH_ENV
