# SPDX-License-Identifier: MIT
# Logical and physical directories through links, as builtins and as commands see them.
top=$PWD; s() { sed "s,$top,TOP,g"; }
mkdir -p real/sub; ln -s real link; ln -s sub real/inner; cd link/inner
pwd | s; pwd -P | s; pwd -L | s; /bin/pwd | s; env pwd -P | s; /bin/pwd -L | s; readlink /proc/self/cwd | s; env | grep ^PWD= | s; realpath . | s
ls -d ../inner 2>&1; cd ..; pwd | s; cd -P .; pwd | s; cd "$top/link"; set -P; cd .; pwd | s; cd "$top/link/sub"; pwd | s; set +P
cd "$top/link"; rm ../link; pwd | s; /bin/pwd | s; ls; cd ../real; pwd | s; (cd -P sub; pwd | s; PWD=$top/link /bin/pwd -L | s)
readlink -f /proc/self/cwd | s; stat -L -c %F /proc/self/cwd; test . -ef "$top/real" && echo same
