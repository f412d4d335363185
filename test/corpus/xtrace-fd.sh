# SPDX-License-Identifier: MIT
# BASH_XTRACEFD: the trace goes elsewhere; children do not get the descriptor.
exec {BASH_XTRACEFD}>trace
fd=$BASH_XTRACEFD
set -x
cut -c1 <<<abc
tr a b <<<a
x=$(rev <<<ab)
sh -c "echo leaked >&$fd" 2>/dev/null; echo $?
set +x
unset BASH_XTRACEFD
sed "s/[&]$fd/\&FD/" trace
PS4='+${FUNCNAME[0]}:${LINENO}: '
f() { cut -c1 <<<f; }
exec 2>&1; set -x; f; (f); set +x
SHELLOPTS_before=$-; export SHELLOPTS; set -x; bash -c 'cut -c1 <<<child'; set +x; rm trace
