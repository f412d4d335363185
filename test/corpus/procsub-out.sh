# SPDX-License-Identifier: MIT
# Process substitution as output. Each writer ends the script's wait with a fifo, so
# that what it wrote is there before it is looked at.
mkfifo done1 done2 done3
seq 3 | tee >(sort -r >reversed; echo >done1) >/dev/null
read -r _ <done1; cat reversed
seq 5 > >(wc -l >count; echo >done2)
read -r _ <done2; cat count
f() { echo out; echo err >&2; }
f 2> >(sed 's/^/E:/' >errors; echo >done3)
read -r _ <done3; cat errors
exec 4> >(tr a-z A-Z >upper; echo >done1)
echo to four >&4; /bin/echo more >&4; exec 4>&-
read -r _ <done1; cat upper
