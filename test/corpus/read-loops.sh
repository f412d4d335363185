# SPDX-License-Identifier: MIT
# while read in every arrangement, with commands in the body that leave stdin alone.
printf '%s\n' 'a 1' 'b 2' 'c 3' >f
while read -r l n; do echo "$l" | tr a-z A-Z; echo "$((n * 2))"; done <f
cat f | while read -r l n; do last=$l; cut -c1 <<<"$l$n"; done; echo "last=${last-unset}"
while read -r l n; do last=$l; done < <(cat f); echo "last=$last"
while IFS= read -r x <&3; do cat; done 3<f </dev/null; echo "$x."
while read -r x; do echo "$x" | sed 's/ /-/' & wait; done <f
until ! read -r x; do printf '%s;' "$x"; done <f; echo
sort -r f | while read -r x; do echo "$x"; break; done
grep -n . f | while IFS=: read -r n t; do [ "$n" = 2 ] && continue; echo "$n=$t"; done
printf 'no newline' | while read -r x || [ -n "$x" ]; do echo "<$x>"; done
printf 'a\\nb\n' | while read x; do echo "$x"; done
while read -r -n 2 x; do printf '[%s]' "$x"; done <f; echo
read -r -d : x <<<'up to:colon'; echo "$x"
while read -r a && read -r b; do echo "$a+$b" | rev; done < <(seq 5)
cat f f f | { n=0; while read -r _; do n=$((n + 1)); done; echo $n; }
