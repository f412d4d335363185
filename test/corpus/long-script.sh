# SPDX-License-Identifier: MIT
# A script of hundreds of generated lines, sourced and run by eval: many launches, one name each.
for i in $(seq 60); do printf 'v%d=$(echo %d | tr 0-9 a-j)\nf%d() { echo "$v%d"; }\nf%d | cut -c1\n: %d\n' $i $i $i $i $i $i; done >lines
wc -l <lines; . ./lines | cksum; eval "$(head -n 80 lines)" | cksum; bash lines | cksum; rm lines
