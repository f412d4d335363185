# SPDX-License-Identifier: MIT
# local -, local variables exported to commands, and what comes back after the function.
f() { local -; set -f; set -u; echo * | cat; echo "$-" | tr -cd fu; echo; }; touch file
f; echo "$-" | tr -cd fu | wc -c; echo * | cat
g() { local -x LOCALVAR=in; env | grep LOCALVAR; local PATH=$PATH:/nosuch; env | grep -c /nosuch; }; g; env | grep -c -e LOCALVAR -e /nosuch
h() { local IFS=:; set -- a b; echo "$*" | cat; }; h; IFS=' '; echo "${IFS}x"
i() { local -; set -e -o pipefail; false | true || echo caught; }; i; false; echo "still here $?"
j() { local LC_ALL=C; printf '\303\251' | wc -m; }; j; printf '\303\251' | wc -m
k() { local -i n=2+3; echo $n | cat; local -r ro=1; ro=2; echo never; }; k; echo "status $?"
export E=outer; l() { local E; env | grep ^E=; E=inner; env | grep ^E=; unset E; env | grep ^E=; }; l; env | grep ^E=
