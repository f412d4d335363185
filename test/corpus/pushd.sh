# SPDX-License-Identifier: MIT
# pushd, popd, dirs and tilde forms with commands in each directory.
top=$PWD; mkdir a b c; s() { sed "s,$top,TOP,g"; }
pushd a | s; pushd a >/dev/null; touch here; ls; pushd ../b >/dev/null; dirs -v | s; /bin/pwd | s
ls ~1 | cat; ls -d ~- | s; popd >/dev/null; /bin/pwd | s; pushd "$top/c" >/dev/null; pushd +1 | s; /bin/pwd | s
(popd >/dev/null; /bin/pwd | s); popd -n | s; dirs -l | s; pushd nosuch; echo $?; dirs -c; popd; echo $?
echo "${DIRSTACK[@]}" | s; x=$(pushd /tmp >/dev/null; pwd); echo "$x"; /bin/pwd | s
