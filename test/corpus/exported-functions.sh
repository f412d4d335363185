# SPDX-License-Identifier: MIT
# Exported functions in the environment of commands and in bash children.
f() { echo "f got $1" | tr a-z A-Z; }; export -f f
env | grep -A 2 '^BASH_FUNC_f%%='; bash -c 'f child'; echo x | xargs -I{} bash -c 'f {}'; find . -maxdepth 0 -exec bash -c 'f "$1"' _ {} \; ; (bash -c 'f sub'); x=$(bash -c 'f comsub'); echo "$x"
f() { echo changed; }; bash -c f; cut() { echo 'shadowed everywhere'; }; export -f cut; bash -c 'cut -c1'; env cut -c1 <<<abc; unset -f cut; bash -c 'cut -c1 <<<abc'; cut -c1 <<<abc
export -nf f; bash -c 'f 2>/dev/null; echo $?'; export -f f; env | grep -c BASH_FUNC; export -f nosuchfunction; echo $?; g-h.i() { echo odd name; }; export -f g-h.i; bash -c 'g-h.i'; cat /proc/self/environ | tr '\0' '\n' | grep -c '^BASH_FUNC'; declare -Fx; sh -c 'env' | grep -c BASH_FUNC; env -u 'BASH_FUNC_f%%' bash -c 'f 2>/dev/null; echo $?'; export -pf | wc -l
env 'BASH_FUNC_evil%%=() { echo in; }; echo injected' bash -c 'evil; echo $?' 2>/dev/null; env 'BASH_FUNC_ok%%=() { echo in | rev; }' bash -c ok
