# SPDX-License-Identifier: MIT
# [[ ]], =~, file tests on files that commands made, and their short circuits.
touch -d @1000 old; touch -d @2000 new; ln -s new link; mkfifo fifo; ln old hard; printf x >sized
[[ new -nt old && old -ot new ]] && echo newer | cat
[[ -L link && -p fifo && -s sized && ! -s old && hard -ef old ]] && echo kinds | cat
[[ $(seq 3 | paste -s) =~ ^([0-9]).([0-9]) ]] && echo "${BASH_REMATCH[2]}" | cat
re='([a-z]+)-([0-9]+)'; while read -r l; do [[ $l =~ $re ]] && expr "${BASH_REMATCH[2]}" + 1; done <<<$'ab-1\nx\ncd-41'
[[ abc == a* ]] && echo glob | rev; [[ abc == "a*" ]] || echo literal | rev
[[ -v PATH && -z $unset && -n $PATH ]] && echo vars | rev; [[ 10 -gt 9 && ! 10 > 9 ]] && echo numbers | rev
[ "$(wc -c <sized)" -eq 1 ] && echo one; [[ -f nosuch || -d . ]] && echo dir
test -x /usr/bin/cut -a -r /etc/passwd && echo executable; [[ a < b ]] && [[ b > a ]] && echo order
[[ x =~ [ ]] 2>/dev/null; echo $?; [ a = ] 2>/dev/null; echo $?; [ 1 -eq x ]; echo $?
if [[ -e link ]]; then rm link; elif false; then :; fi; [[ -e link ]]; echo $?
[[ $(false; echo x) ]] && [[ ! $(true) ]] && echo substitutions; shopt -s nocasematch; [[ ABC == abc ]] && cut -c1 <<<case
