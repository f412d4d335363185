# SPDX-License-Identifier: MIT
# Quoting of arguments on the way to commands.
show() { /usr/bin/printf '<%s>' "$@"; echo; }
show a\ b 'c d' "e $((1 + 1))" $'f\tg' "" '' "$@" \\ '\' "\\" "\$x" '$x' a'b'"c"
IFS=:; v=a:b::c; show $v "$v"; unset IFS; v=' lead  trail '; show $v "$v"
show "$(echo 'quo"ted')" $(echo '"a b"') `echo '\$'` "$(echo "nested $(echo "deep 'q'")")"
show *"*" '*' \* "[a-z]" {a,'b c'} ~ "~" '~' a~; show "a
b" $'a\nb' 'a\
b' a\
b
show -- --option=value -n 'x=y' x=y; show !x ! '#c' a#b # comment
printf '%s|' "$@" $@ "$*" $* | cat; echo; set -- '' 'a b' ''; printf '%s|' "$@" | cat; printf '%s|' $@ | cat; printf '%s|' "$*" | cat; echo
show é "ü" $'\xff\xfe' | od -An -tx1; show "${x:-a b}" ${x:-a b} "${x:-"c d"}"
