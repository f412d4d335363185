# SPDX-License-Identifier: MIT
# extglob turned on in mid-script: later lines are only then valid syntax.
touch a.c b.c ab.h aab.h x.o
ls *.c | cat
shopt -s extglob
ls !(*.c|*.h); ls +(a)b.h; ls @(a|b).c; ls ?(a)ab.h
cut -c1 <<<abc; case aaa in +(a)) echo plus | cat ;; esac
[[ x.o == !(*.c) ]] && echo not c | tr n N
v=aaabbb; echo "${v##+(a)}" | rev; echo "${v//+(b)/-}" | cat
f() { sed -n '$=' !(*.o|*.h); }; f
shopt -u extglob
eval 'ls !(*.c)' 2>/dev/null; echo $?
rm *.c *.h *.o; ls | wc -l
