# SPDX-License-Identifier: MIT
# set -x around every kind of launch that has one order; what it shows of each.
exec 2>&1
set -x
cut -c1 <<<abc
x=$(rev <<<b)
X=1 Y='two words' env >/dev/null
(cd /; ls >/dev/null)
f() { cut "$1" <<<abc; }
f -c2
for i in 1 2; do seq $i >file; done
[[ $x == b ]] && ((1 + 1)) && grep -c . <<<x
case $x in b) cat </dev/null ;; esac
if grep -q x </dev/null; then :; fi
nosuchcommand-xyz 'an arg'
cat <<END
$(echo in the document)
END
/bin/true 'quoted $arg' "it's" $'\n' ''
eval 'cut -c1 <<<e'
sh -c 'exit 3' || echo $?
y=1 z=$(echo $(echo nested))
cut -c1 <<<"$(echo argument)" >$(echo file) 2>&1
sh -c 'kill -TERM $$'
{ set +x; } 2>/dev/null
cut -c1 <<<quiet
(set -x; rev <<<sub)
set -x; PS4='$LINENO> '; cut -c1 <<<p; PS4='$(echo cmd)+ '; cut -c2 <<<pq
