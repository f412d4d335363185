# SPDX-License-Identifier: MIT
# nohup, setsid and nice around commands, and what of signals and sessions they change.
nohup grep SigIgn /proc/self/status 2>/dev/null
nohup echo x 2>&1 >/dev/null | wc -l
setsid -w sh -c 'awk "{print \$6 == \$1}" /proc/$$/stat'
setsid -w sh -c 'exit 5'; echo $?
setsid sh -c 'exit 5'; echo $?
(trap '' HUP; grep SigIgn /proc/self/status)
nohup sh -c 'kill -HUP $$; echo survived' 2>/dev/null
nohup nosuchcommand-xyz 2>/dev/null; echo $?
nice -n 5 nice; nice
setsid -w nohup nice -n 3 env A=1 sh -c 'echo $A; nice' 2>/dev/null
ls
