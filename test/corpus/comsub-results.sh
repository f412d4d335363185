# SPDX-License-Identifier: MIT
# Status, trailing newlines, NUL bytes and size of command substitutions.
x=$(sh -c 'exit 3'); echo $?; x=$(/bin/false; /bin/true); echo $?; echo "$(sh -c 'exit 4')" $?; x=$(sh -c 'exit 5') y=$(sh -c 'exit 6'); echo $?
$(exit 7); echo $?; $(echo) ; echo $?; ! x=$(/bin/false); echo $?; local_x=$(nosuchcommand-xyz 2>/dev/null); echo $?; if x=$(grep -q x <<<x); then echo then; fi
x=$(printf 'a\n\n\n'); echo "${#x}"; x=$(printf '\n\na'); echo "${#x}"; x=$(cat /dev/null); echo "<$x>"; printf '%s|' $(printf 'a b\nc\n') "$(printf 'a b\nc\n')"; echo
x=$(printf 'a\0b' 2>/dev/null); echo "${#x}"; x=$(seq 30000); echo "${#x}" $?; x=$(head -c 200000 /dev/zero | tr '\0' '\n'); echo "${#x}"
x=$(printf '\377\n'); printf %s "$x" | od -An -tx1; x=$(kill -TERM $BASHPID); echo $?; x=$(sh -c 'kill -TERM $$'); echo $?; x=$(yes | head -n 2); echo "$x" $?
x=$(echo out; echo err >&2) 2>err; cat err; { x=$(echo err >&2); } 2>err; cat err; x=$( (echo bg &) | cat); echo "$x"; x=$(echo bg2 & wait); echo "$x"; x=$(exec cut -c1 <<<abc); echo "$x"
