# SPDX-License-Identifier: MIT
# LINENO, and line numbers in messages about commands, in functions, sourced files, eval.
exec 2>&1
echo $LINENO; cut -c1 <<<$LINENO
nosuchcommand-a
cat <nosuchfile; f() {
  nosuchcommand-b
  echo "$LINENO" | cat
  (nosuchcommand-c)
}
f
x=$(
  nosuchcommand-d
  echo $LINENO
); echo "$x"
echo 'echo $LINENO
nosuchcommand-e' >lib
. ./lib
eval 'echo $LINENO
nosuchcommand-f'
echo multi \
  line \
  $LINENO | nosuchcommand-g \
  arg
cat <<END | nosuchcommand-h
$LINENO
END
for i in 1; do
  sh -c 'kill -KILL $$'
done
if
  nosuchcommand-i
then :; fi
trap 'echo "trap at $LINENO"; nosuchcommand-j' USR1; kill -USR1 $$
bash -c 'nosuchcommand-k
nosuchcommand-l'
LINENO=100; nosuchcommand-m
echo ${x?} ${unset_variable?} | cat
echo end $LINENO
