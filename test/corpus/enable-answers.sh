# SPDX-License-Identifier: MIT
# enable: the list of builtins before and after launches; disabling, and what runs then.
enable | wc -l; enable | cksum; enable -a | cksum; enable -s | cksum; enable -p | cksum
for c in cut sed grep tr sort head tail wc mktemp cat ls date; do $c --version >/dev/null 2>&1; done
enable | wc -l; enable | cksum; enable -a | cksum; enable -s | cksum; enable -n | wc -l
enable cut; echo $?; enable -n cut; echo $?; enable -d cut; echo $?
enable -n echo; enable -n; echo 'file \t'; enable echo; enable -n | wc -l
enable -n test [; test a = a && [ b = b ] && type -t test; enable test [
builtin cut -c1 <<<abc; echo $?
help cut; echo $?; help -s enable
enable -f nosuchfile.so nosuchbuiltin 2>/dev/null; echo $?
enable -n pwd; type -t pwd; pwd >/dev/null && echo works; enable pwd; type -t pwd
(enable -n printf; type -t printf); type -t printf
enable -n shopt; shopt -s extglob 2>/dev/null; echo $?; enable shopt; shopt -q extglob; echo $?
