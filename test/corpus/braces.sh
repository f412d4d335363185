# SPDX-License-Identifier: MIT
# Brace expansion making arguments and commands.
echo {a,b}{1..3} | tr ' ' '\n' | tail -n 1
touch f{1..12}.x; ls f{1,12}.x; rm f{2..11}.x; ls
printf '%s ' {01..10..3} {c..a} {5..1..2} | rev; echo
{cut,-c1} <<<abc; {/usr/bin/rev,<<<x} 2>/dev/null; echo $?
mkdir -p t/{a,b}/{c,d}; find t -mindepth 2 | sort; cp f1.x{,.bak}; ls *.bak
echo {} {a} a{,b} "{a,b}" | wc -w; set +B; echo {a,b} | cat; set -B
seq {1..3}; x={a,b}; echo $x | cat; echo {$(echo a),b} | cat; echo {"a b",c} | wc -w
