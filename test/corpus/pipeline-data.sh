# SPDX-License-Identifier: MIT
# Half a megabyte through pipelines: nothing lost, nothing doubled, order kept.
seq 1 80000 >all
sort -n -r all | sort -n | cmp - all && echo same
seq 1 80000 | wc -lc
cat all all | split -b 100000 - part.; ls part.* | wc -l; cat part.* | cksum
rm -f part.*
head -c 200000 /dev/zero | tr '\0' a | fold -w 100 | awk 'END{print NR, length($0)}'
data=$(cat all); echo "${#data}"
printf '%s\n' "$data" | cksum
cat <<<"$data" | cksum
gzip -c all | gunzip -c | cksum
rm all
