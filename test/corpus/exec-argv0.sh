# SPDX-License-Identifier: MIT
# argv[0] of commands: by name, by path, by exec -a, by links and by BASH_ARGV0.
words() { tr '\0' ' '; echo; }
cat /proc/self/cmdline | words; /usr/bin/cat /proc/self/cmdline | words; /usr/../usr/bin/cat /proc/self/cmdline >f; words <f
(exec -a other cat /proc/self/cmdline) | words; (exec -a '' cat /proc/self/cmdline) | words; (exec -l cat /proc/self/cmdline) | words
(exec -a 'with space' cat /proc/self/cmdline) >f; words <f
ln -s /usr/bin/cat linked; ./linked /proc/self/cmdline >f; words <f; PATH=.:$PATH; linked /proc/self/cmdline >f; words <f
cat /proc/self/cmdline >f 2>&1; words <f; x=$(cat /proc/self/cmdline | words); echo "$x"; (cat /proc/self/cmdline; :) | words
(exec -a grep grep --version) | head -n 1
(exec -a oddname grep x /nosuchfile)
(exec -a oddname ls /nosuchfile)
(exec -a -dash sort --nosuchoption)
/bin/../bin/cut -z; BASH_ARGV0=changed; cut --nosuchoption; nosuchcommand-xyz
