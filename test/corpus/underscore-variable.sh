# SPDX-License-Identifier: MIT
# The _ variable: what children get, and what the shell has afterwards.
echo "$_"; echo "$BASH" | sed 's,.*/,,'
u() { env | grep ^_=; }
env | grep ^_=; /usr/bin/env | grep ^_=; (env | grep ^_=); echo "$(env | grep ^_=)"; env cut -c1 <<<abc; echo "$_"; cut -c1 <<<abc; echo "$_"; seq 2 | tail -n 1; echo "$_"; u
/bin/true a b 'last arg'; echo "$_"; x=1; echo "$_"; : arg; echo "$_"; (: sub); echo "$_"; f() { : inner; }; f outer; echo "$_"; X=1 env | grep ^_=; cd /; echo "$_"; cd - >/dev/null; ../usr/bin/env 2>/dev/null; echo "$_"
_=set; env | grep ^_=; export _; env | grep ^_=; awk 'BEGIN { print ENVIRON["_"] }'; cat /proc/self/environ | tr '\0' '\n' | grep ^_=; x=$(cat /proc/self/environ | tr '\0' '\n' | grep ^_=); echo "$x"; exec 3>&1; env >&3 | grep ^_=; PATH=/bin:$PATH; hash -r; env | grep ^_=; command env | grep ^_=; nosuchcommand-xyz 2>/dev/null; echo "$_"; bash -c 'echo "$_"'; bash -c 'env' | grep ^_=; eval 'env' | grep ^_=; ln -s /usr/bin/env e; ./e | grep ^_=; env -i env; exec env | grep ^_=
