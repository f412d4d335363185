# SPDX-License-Identifier: MIT
# A command that appears in an earlier PATH directory while the script runs, and goes again.
mkdir bin; PATH=$PWD/bin:$PATH
cut -c1 <<<abc
printf '#!/bin/sh\necho new "$@"\n' >bin/cut; chmod +x bin/cut
cut -c1 <<<abc
hash -r
cut -c1 <<<abc
rm bin/cut
cut -c1 <<<abc; echo $?
shopt -s checkhash
cut -c2 <<<abc; echo $?
printf '#!/bin/sh\necho newer "$@"\n' >bin/tail; chmod +x bin/tail
tail x
chmod -x bin/tail
tail -n 1 <<<second; echo $?
hash -r
tail -n 1 <<<third; echo $?
