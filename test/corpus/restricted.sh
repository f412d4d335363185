# SPDX-License-Identifier: MIT
# A script that restricts itself: set -r. What is refused, what still runs.
exec 2>&1
mkdir bin; ln -s /usr/bin/rev bin/myrev
cut -c1 <<<abc
set -r
cut -c1 <<<abc; echo a | tr a b; x=$(seq 2 | tail -n 1); echo "$x"; (rev <<<ab)
/usr/bin/cut -c1 <<<abc; echo $?; ./bin/myrev; echo $?; cd /; echo $?; echo x >file; echo $?; seq 2 >>file; echo $?; cut -c1 </dev/null 2>err; echo $?; hash -p /usr/bin/rev r; echo $?; . ./nosuch; echo $?; command -p cut; echo $?; exec cut; echo $?; enable -f x y; echo $?; set +r; echo $?; bash -c 'echo child | cat; cd /; echo $?'; sh -c 'echo x >file'; ls; env PATH=/usr/bin cut -c1 <<<env; export A=1; env | grep ^A=; type cut; cat <<<here; cat /dev/null | wc -c
PATH=$PWD/bin; echo "line aborted: never"
echo $?
SHELL=x; echo "line aborted: never"
cut -c1 <<<end
