# SPDX-License-Identifier: MIT
# DEBUG trap before each command; extdebug lets it skip one.
n=0
trap 'n=$((n + 1)); echo "[$LINENO $BASH_COMMAND]"' DEBUG
echo a | cut -c1
x=$(echo b | rev)
for i in 1 2; do seq "$i"; done
case x in x) wc -c </dev/null ;; esac
((n > 3))
[[ -n $x ]] && echo "$x" | tr b c
trap - DEBUG
echo "$n"
shopt -s extdebug
trap 'case $BASH_COMMAND in rm*) echo "skipped $BASH_COMMAND"; false ;; esac' DEBUG
touch keep
rm keep
ls
trap - DEBUG
