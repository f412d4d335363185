# SPDX-License-Identifier: MIT
# PATH changed in mid-script: a new earlier directory, a later one, one removed again.
cut -c1 <<<abc
mkdir early late
printf '#!/bin/sh\necho "early cut $*"\n' >early/cut; chmod +x early/cut
printf '#!/bin/sh\necho "late cut $*"\n' >late/cut; chmod +x late/cut
cut -c1 <<<abc
old=$PATH
PATH=$PWD/early:$PATH
cut -c1 <<<abc; type -p cut | sed "s,$PWD/,,"
echo abc | cut -c1; x=$(cut -c1); echo "$x"; (cut -c1)
PATH=$old:$PWD/late; cut -c1 <<<abc
PATH=$PWD/late; cut -c1; type -p cut | /bin/sed "s,$PWD/,,"
PATH=$old
cut -c1 <<<abc
f() { local PATH=$PWD/early:$PATH; cut in function; }; f; cut -c1 <<<abc
(PATH=$PWD/early:$PATH; cut in subshell); cut -c1 <<<abc
PATH+=:$PWD/late; cut -c1 <<<abc
export PATH=$PWD/early:$old; cut exported; env cut by env
unset PATH; cut -c1 <<<abc; /bin/ls; echo $?
PATH=$old; cut -c2 <<<abc
declare -x PATH="$PWD/early"; cut declared
