# SPDX-License-Identifier: MIT
# hash -p: a name bound to any file, used by launches everywhere, until forgotten.
printf '#!/bin/sh\necho "stand-in $*"\n' >stand-in; chmod +x stand-in
cut -c1 <<<abc
hash -p "$PWD/stand-in" cut
cut -c1 <<<abc
echo abc | cut -c2 | cat; x=$(cut -c3); echo "$x"
type cut | sed "s,$PWD/,,"; hash -t cut | sed "s,$PWD/,,"
command cut via command; command -p cut -c1 <<<abc; env cut -c1 <<<abc
hash -d cut; cut -c1 <<<abc
hash -p /nosuchfile sed; sed p </dev/null; echo $?
hash -d sed; sed s/a/b/ <<<a
hash -p /usr/bin/sort newname; printf 'b\na\n' | newname
hash -p ./stand-in relative; relative x; mkdir d; cd d; relative y; echo $?; cd ..
BASH_CMDS[viaarray]=/usr/bin/rev; viaarray <<<abc; echo "${BASH_CMDS[newname]}"
set +h; hash cut; echo $?; cut -c1 <<<abc; set -h
shopt -s checkhash; hash -p "$PWD/gone" tail; tail -n 1 <<<found
