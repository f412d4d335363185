# SPDX-License-Identifier: MIT
# nullglob, failglob, dotglob, globstar, nocaseglob seen through commands' arguments.
touch a B .c; mkdir -p d/e; touch d/e/f d/.g
args() { printf '<%s>' "$@"; echo; }
/usr/bin/printf '<%s>' *.none; echo
shopt -s nullglob; /usr/bin/printf '<%s>' *.none x; echo; ls *.none | wc -l; shopt -u nullglob
shopt -s failglob
ls *.none; echo 'failglob: the rest of the line is not run'
echo "status $?"; cat a*
x=$(ls *.none; echo in)
echo "$? <$x>"; (ls *.none); echo "subshell $?"
shopt -u failglob
shopt -s dotglob; ls -d * | paste -s; shopt -u dotglob
shopt -s globstar; ls -d **/ | paste -s; ls -d d/** | paste -s; shopt -u globstar
shopt -s nocaseglob; ls [b]; shopt -u nocaseglob; ls [b] 2>/dev/null; echo $?
(shopt -s nullglob; cat *.none </dev/null | wc -c); LC_ALL=C ls -d [A-Z]
shopt -s nullglob dotglob; for f in */* *.none; do dirname "$f"; done; args *.none | cat
