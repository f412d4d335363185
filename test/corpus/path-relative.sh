# SPDX-License-Identifier: MIT
# PATH with relative and empty entries: found relative to where the shell is just then.
mkdir -p a/bin b/bin
for d in a b; do printf '#!/bin/sh\necho "%s tool in ${PWD##*/}"\n' $d >$d/bin/tool; chmod +x $d/bin/tool; done
PATH=bin:$PATH
cd a; tool; cd ../b; tool; hash -r; tool; cd ..
tool 2>&1 | sed 's/.*: //'; echo "${PIPESTATUS[0]}"
hash -r; PATH=:/usr/bin:/bin; printf '#!/bin/sh\necho here\n' >cut; chmod +x cut
cut; hash -t cut | cat
PATH=/usr/bin::/bin; hash -r; cut -c1 <<<abc; cd a; printf '#!/bin/sh\necho own\n' >only; chmod +x only; only; cd ..
PATH=/usr/bin:; cp a/only .; only
PATH=./a:.:/usr/bin; only; type -p only cut
PATH=; hash -r; only; echo $?
PATH=.; /bin/ls | /bin/grep only; only
PATH='~/a:/usr/bin'; HOME=$PWD; only 2>/dev/null; echo $?
PATH=~/a:/usr/bin; only
PATH=/nosuchdirectory:/dev/null:/etc/passwd:/usr/bin; cut -c1 <<<abc
