# SPDX-License-Identifier: MIT
# A working directory that is deleted, replaced or moved under the shell.
exec 2>&1
top=$PWD; s() { sed "s,$top,TOP,g"; }
mkdir gone; cd gone; rmdir ../gone
pwd | s; /bin/pwd; echo $?; readlink /proc/self/cwd | s; ls; echo $?; cut -c1 <<<abc; echo x >file; echo $?
x=$(readlink /proc/self/cwd); echo "$x" | s; (ls -a | wc -l); cat nosuch; find . | head -n 2; bash -c 'cut -c1 <<<child' 2>&1 | s
mkdir ../gone; ls -a | wc -l; /bin/pwd; readlink /proc/self/cwd | s
cd .; echo $?; /bin/pwd | s; mv ../gone ../moved; readlink /proc/self/cwd | s; pwd | s; pwd -P | s; touch f; ls ../moved
cd "$top"; ls
