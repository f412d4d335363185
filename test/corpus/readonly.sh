# SPDX-License-Identifier: MIT
# Readonly variables: what an attempt to set them does, before commands and alone.
exec 2>&1
readonly R=1; R=2 env | grep ^R; echo "$? $R"; R=2 /bin/echo not run; echo $?; (R=3; echo never); echo $?; (R=3 | cat; echo goes on); x=$(R=4; echo never); echo "$? <$x>"; unset R; echo $?; export R; env | grep ^R; f() { local R=5; echo "f $R"; }; f; echo $?; (readonly PATH; PATH=/x cut -c1 <<<abc; echo $?; cut -c1 <<<def); (readonly PATH; command -p cut -c1 <<<ghi)
for R in a b; do echo never; done; echo "after for $?"
read -r R <<<x; echo $?; printf -v R x; echo $?; mapfile -t R <<<x; echo $?; declare R=6; echo $?; readonly A=(1 2); A[0]=x; echo "line aborted: never"
echo "$? ${A[0]}"; R=7 eval 'echo never'; echo "eval $?"; R=8 :; echo "special $?"; BASHPID=1; UID=1; echo "line aborted: never"
echo "UID $?"; set -o posix; R=9 cut -c1 <<<posix; echo "posix $?"; R=9 :; echo never
