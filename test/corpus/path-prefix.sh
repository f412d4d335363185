# SPDX-License-Identifier: MIT
# PATH=… before a command: which one is found, and that it does not last.
mkdir bin; printf '#!/bin/sh\necho "bin/cut PATH=${PATH%%/usr*}" | sed "s,$PWD/,,"\n' >bin/cut; chmod +x bin/cut
cut -c1 <<<abc
PATH=$PWD/bin:$PATH cut x
cut -c1 <<<abc; hash -t cut
PATH=$PWD/bin:$PATH cut x | cat
x=$(PATH=$PWD/bin:$PATH cut x); echo "$x"
PATH=/nosuchdirectory cut -c1; echo $?
PATH=/nosuchdirectory /usr/bin/cut -c1 <<<abc
PATH=/nosuchdirectory env 2>&1; echo $?
PATH=bin:$PATH command cut y; cut -c2 <<<abc
PATH=/tmp env | grep ^PATH=
PATH= cut -c1 <<<abc; echo $?
f() { cut "$@"; }; PATH=$PWD/bin:$PATH f z; cut -c3 <<<abc
PATH=$PWD/bin:$PATH eval 'cut e'
PATH=$PWD/bin:$PATH; cut lasting
