# SPDX-License-Identifier: MIT
# Backticks with their own rules of quoting and nesting.
echo `echo a | tr a b` `cut -c1 <<<abc`; echo `echo \`echo nested | rev\``; echo "`echo "q \"x\" q"`"
echo `echo '\$x' '\\' "\\\\"` | cat; x=`sh -c 'exit 3'`; echo $?; echo `seq 3` "`seq 2`"; echo `echo $(echo mixed | cat)`; y=`cat <<E
doc
E
`; echo "$y"; echo `# nothing`|wc -c; `echo cut` -c2 <<<xyz; echo ``x`` 2>/dev/null; echo "${z:-`echo def | cat`}" $((`echo 2` * `echo 3 | cat`))
