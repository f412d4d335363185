# SPDX-License-Identifier: MIT
# A syntax error far below: all before it runs, though no look ahead can parse the whole.
cut -c1 <<<abc
for i in 1 2; do
  echo $i | sed 's/^/line /'
done
x=$(seq 3 | tail -n 1); echo "$x"
if grep -q x <<<x; then echo found; fi
(exit 3)
echo "status $?"
}
cut -c1 <<<never
