# SPDX-License-Identifier: MIT
# A pipeline of twenty elements, and pipelines in pipelines.
echo 0 | awk '{print $1+1}' | awk '{print $1+1}' | awk '{print $1+1}' | awk '{print $1+1}' |
  sed s/4/5/ | cat | cat | cat | tr 5 6 | cat | cat | cut -c1 | cat | head -n 1 | tail -n 1 |
  sort | uniq | cat | rev | tee copy
echo "${#PIPESTATUS[@]} ${PIPESTATUS[*]}"; cat copy
seq 4 | (sort -r | (head -n 3 | (tail -n 2 | (cat -n | (tr -s ' ' | sed 's/^ //'))))) | cat
echo "${PIPESTATUS[*]}"
