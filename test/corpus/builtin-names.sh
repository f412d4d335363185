# SPDX-License-Identifier: MIT
# Builtins that exist as commands too: which one runs, and how the command is reached.
for n in echo printf test pwd kill true false '['; do printf '%s: %s %s\n' "$n" "$(type -t "$n")" "$(type -at "$n" | sort -u | paste -s)"; done
echo -e 'a\tb'; /bin/echo -e 'a\tb'; env echo -e 'a\tb'
printf '%q\n' 'a b'; /usr/bin/printf '%q\n' 'a b'
printf '%(%Y)T\n' 0 2>&1; /usr/bin/printf '%b\n' 'x\ty'
test 1 -lt 2 && /usr/bin/test 1 -lt 2 && echo both
/usr/bin/[ a = a ] && echo bracket
mkdir d; ln -s d l; cd l; pwd | sed 's,.*/,,'; /bin/pwd | sed 's,.*/,,'; env pwd | sed 's,.*/,,'; cd ..
PWD=/nowhere /bin/pwd | sed 's,.*/,,'
enable -n echo printf; echo -e 'a\tb'; type -t echo; printf 'x%sx\n' y; enable echo printf; type -t echo
echo --version | cat; env echo --version | head -n 1
/bin/true --version | head -n 1; true --version
false --help; echo $?; /bin/kill -0 $$; echo $?
builtin echo b; builtin cut 2>&1; echo $?
command echo c; command -p echo d
