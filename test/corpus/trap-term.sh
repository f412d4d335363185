# SPDX-License-Identifier: MIT
# SIGTERM to the script, with a trap that ends it; children come and go meanwhile.
cleanup() { echo "cleanup at $?"; rm -f temp; ls | wc -l; exit 12; }
trap cleanup TERM
trap 'echo "exit trap $?"' EXIT
seq 3 >temp
for i in 1 2 3 4 5; do
  head -n "$i" temp | wc -l
  [ "$i" = 3 ] && env kill -TERM $$
done
echo never
