# SPDX-License-Identifier: MIT
# command, command -p, command -v and -V on functions, builtins, files, keywords, aliases.
cut() { echo "function $*"; }
command cut -c1 <<<abc
command -v cut cat echo if nosuchcommand-xyz; echo $?
command -V cut cat echo if; command -V nosuchcommand-xyz; echo $?
shopt -s expand_aliases; alias al='cat -n'; command -v al; command -V al
command -v ./nosuchfile /bin/cat /; echo $?
touch plain; command -v ./plain; echo $?; chmod +x plain; command -v ./plain
command -p cut -c1 <<<abc
(PATH=/nosuchdirectory; command -p cut -c2 <<<abc; command -pv cut; command cut -c1; echo $?)
command sh -c 'exit 5'; echo $?
command nosuchcommand-xyz; echo $?
X=1 command env | grep ^X=
command -- cut -c3 <<<abc
command; echo $?; command -Z cut; echo $?
echo abc | command cut -c1 | command rev
c=command; $c cut -c1 <<<abc; cc='cut -c2'; command $cc <<<abc
set -e; command grep -q x </dev/null || echo or
command cd /nosuchdirectory || echo "goes on"
command exec 3>file; echo to three >&3; cat file
x=$(command cut -c1 <<<abc; command -v cut); echo "$x"
