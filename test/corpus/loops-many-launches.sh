# SPDX-License-Identifier: MIT
# Hundreds of launches of the same few tools; each must happen exactly once, in order.
for i in $(seq 200); do cut -c1-4 <<<"$i line" >>log; done
cksum <log; wc -l <log
for i in $(seq 60); do echo "$i" | sed "s/^/$i:/" | tr : -; done | cksum
n=0; for i in $(seq 100); do x=$(expr $n + 1); n=$x; done; echo $n
for i in $(seq 100); do grep -qx "$((i % 7))" <<<3 && hits=$((hits + 1)); done; echo $hits
for i in $(seq 50); do (echo "$i" | rev); done | cksum
seq 40 | while read -r i; do head -c "$i" /dev/zero | wc -c; done | cksum
