# SPDX-License-Identifier: MIT
# compgen: commands, builtins, keywords, functions; before and after launches.
compgen -b | cksum; compgen -k | cksum
compgen -c | sort -u | grep -xE 'cut|sed|echo|if|mktemp'
compgen -c cu | sort | uniq -c | grep -w cut | tr -s ' '
cut -c1 <<<abc; sed p -n </dev/null; x=$(mktemp -u); grep -q x </dev/null
compgen -b | cksum; compgen -b | grep -xE 'cut|sed|grep|mktemp'; echo $?
compgen -c cu | sort | uniq -c | grep -w cut | tr -s ' '
compgen -c mktem; compgen -A builtin cu; echo $?
cut() { :; }; compgen -A function; compgen -A command cut | sort | uniq -c | tr -s ' '
mkdir bin; printf '' >bin/zzztool; chmod +x bin/zzztool; PATH=$PWD/bin:$PATH; compgen -c zzz
compgen -v BASH_VERS; compgen -A enabled sho; compgen -A disabled; compgen -A shopt prog
compgen -A helptopic shop; compgen -A helptopic cut; echo $?
compgen -e | grep -c .; compgen -a; compgen -j; compgen -W 'one two three' t
