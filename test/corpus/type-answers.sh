# SPDX-License-Identifier: MIT
# type in all its forms, before a command was launched, after, in a function, by another PATH.
type cut; type -t cut; type -p cut; type -P cut; type -a cut | sort -u
cut -c1 <<<abc
type cut; type -t cut; type -p cut; type -a cut | sort -u
type echo; type -a echo | sort -u; type -p echo; type -P echo
type if; type -t if '{' '[[' time '!'
type nosuchcommand-xyz; echo $?
f() { cut -c1; }; type f; type -t f; type -f cut; type -f f; echo $?
type -t cut sed grep curl mktemp tr head tail sort
(type cut; rev <<<x; type rev); type rev
x=$(type tr); echo "$x"; echo abc | tr a b; type tr
hash -r; type cut
shopt -s expand_aliases; alias wc='wc -l'; type wc; type -t wc; type -ap wc | sort -u; unalias wc; type wc
enable -n test; type test; enable test; type test
type /usr/bin/sort ./nosuch; echo $?
mkdir bin; printf '#!/bin/sh\n' >bin/uniq; chmod +x bin/uniq; PATH=$PWD/bin:$PATH; type uniq | sed "s,$PWD/,,"; type -a uniq | sed "s,$PWD/,," | sort -u
