# SPDX-License-Identifier: MIT
# shopt: every form of it, its list, its statuses and errors.
shopt | cksum; shopt | wc -l; shopt -p | cksum; shopt -s | cksum; shopt -u | cksum
shopt -o | grep -v history | cksum; shopt -p -o | wc -l
shopt nullglob; echo $?; shopt -q nullglob; echo $?
shopt -s nullglob dotglob; shopt nullglob dotglob; shopt -p nullglob; shopt -q nullglob dotglob; echo $?
shopt -u nullglob; shopt -q nullglob dotglob; echo $?
shopt -s nosuchoption; echo $?; shopt nosuchoption; echo $?
shopt -so pipefail; shopt -o pipefail; set -o | grep pipefail; shopt -uo pipefail
shopt -s -u x; echo $?; shopt -Z; echo $?
echo "$BASHOPTS"; echo "$SHELLOPTS"
(shopt -s extglob; echo "$BASHOPTS" | tr : '\n' | grep ext)
type -t shopt; command -v shopt; type -a shopt; help -s shopt
x=$(shopt -p extglob); echo "$x"; eval "$x"
export BASHOPTS; bash -c 'shopt -q dotglob; echo $?'
shopt -s expand_aliases lastpipe; shopt -s | cut -f1 | paste -s
