# SPDX-License-Identifier: MIT
# Here-documents and here-strings larger than a pipe: 70,000 and 300,000 bytes.
big=$(seq 1 12500); echo ${#big}
cat <<END | cksum
$big
END
cat <<<"$big" | cksum
huge=$(seq 1 50000); echo ${#huge}
cksum <<<"$huge"
wc -c <<END
$huge
END
head -n 1 <<<"$huge"
x=$(tail -n 1 <<<"$huge"); echo "$x"
cat <<<"$huge" | head -n 1; echo "${PIPESTATUS[1]}"
small=$(head -c 4095 /dev/zero | tr '\0' s)
for n in 0 1 2; do wc -c <<<"$small"; small+=s; done
ls -A "$TMPDIR" | wc -l
