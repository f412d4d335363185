# SPDX-License-Identifier: MIT
# Redirections that fail: the command does not run, the status is 1, the script goes on.
exec 2>&1
cat <nosuchfile; echo $?
/bin/echo x >nosuchdir/file; echo $?
/bin/echo x >/; echo $?
/bin/echo x >>.; echo $?
cat <&8; echo $?
/bin/echo x >&8; echo $?
/bin/echo x 2>&77; echo $?
cat <''; echo $?
touch a1 a2; cat <a*; echo $?
v='two words'; /bin/echo x >$v; echo $?; ls
cat <$unset; echo $?
/bin/echo x >&$unset; echo $?
/bin/echo one >made >nosuchdir/x; echo $?; ls made
cat <nosuchfile | wc -l; echo "${PIPESTATUS[*]}"
x=$(cat <nosuchfile); echo "$? <$x>"
f() { echo never; }; f <nosuchfile; echo $?
{ echo never; } <nosuchfile; echo $?
: <nosuchfile; echo $?
while echo never; do :; done <nosuchfile; echo $?
cat <nosuchfile || echo or
A=1 cat <nosuchfile; echo "$? ${A-unset}"
nosuchcommand-xyz <nosuchfile; echo $?
touch locked; mkdir d; /bin/echo x >d; echo $?
exec 9<nosuchfile; echo "exec: $?"
