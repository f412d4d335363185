# SPDX-License-Identifier: MIT
# case, globs and pathname expansion given to commands.
touch a.txt b.txt c.log 'with space.txt' .hidden; mkdir d; touch d/e.txt
ls *.txt | cat; ls [ab].txt; ls ?.*; echo *.nomatch; ls -d */; ls */*
for f in *.txt; do case $f in a*) echo "a: $f" ;;& *.txt) basename "$f" .txt ;; b*) echo never ;; esac; done
case $(ls c*) in *.log) echo log | cat ;& *) echo through ;; esac
set -f; echo *.txt | cat; set +f; echo "*.txt" | cat; wc -c *.txt | tail -n 1
v='*.log'; ls $v; ls "$v" 2>/dev/null; echo $?
find . -name '*.txt' | sort | head -n 1; cd d; ls ../*.log; cd ..; ls d/../[!a-b]*.txt
case x in [[:alpha:]]) echo alpha | cat ;; esac; ls [[:lower:]].*; printf '%s\n' {a,b}.{txt,log} | sort
GLOBIGNORE='a*:c*'; echo *.* | cat; unset GLOBIGNORE; touch 'new*line'; ls new\*line
