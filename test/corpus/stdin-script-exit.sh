# SPDX-License-Identifier: MIT
# mode: stdin
# A script on stdin that ends early, with a here-document and a trap open.
trap 'echo "exit $?" | cat' EXIT
f() { cat <<END
$1
END
}
f one | rev
for i in 1 2; do
  seq $i | tail -n 1
done
exec </dev/null
echo never
