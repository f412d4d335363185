# SPDX-License-Identifier: MIT
# Here-documents: quoted and not, with tabs removed, with expansions that launch commands.
v=value
cat <<END
v is $v, $(echo sub | tr a-z A-Z), `echo tick | rev`, $((6 * 7)), \$v, ${v^^}
END
cat <<'END'
v is $v, $(echo never), \$v
END
cat <<-END
	tab removed
		twice, $(seq 2 | paste -s)
	END
cat <<A; cat <<B
first
A
second
B
cat - /dev/fd/3 <<IN 3<<MORE
standard input
IN
descriptor 3
MORE
sort <<END | uniq -c | tr -s ' '
b
a
b
END
while read -r l; do echo "$l" | sed 's/^/> /'; done <<END
$(seq 3)
END
x=$(cat <<END
in $v
END
); echo "$x"
cat <<END >out && wc -lc <out
no newline at the end of the next one
$v
END
cat <<""
ends at the empty line

(cat; echo subshell) <<END
given to a subshell
END
f() { cat; }
f <<<"to a function"
if grep -q two; then echo found; fi <<END
one
two
END
cat <<END
no end of document
