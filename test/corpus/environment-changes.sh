# SPDX-License-Identifier: MIT
# Variables exported, changed, unset and made local between launches of the same command.
e() { env | grep -E '^(A|B|C|R)=' | sort; echo -; }
e; export A=1; e; A=2; e; export -n A; e; B=x; e; export B; e; unset B; e; C=p e; echo "${C-unset}"; C=p env | grep ^C=; echo "${C-unset}"; declare -x C=q; e; declare +x C; e; f() { local A=l; export A; e; }; f; e; (export B=sub; e); e; x=$(B=com; export B; e); echo "$x"; export A; read -r A <<<read; e; A+=more; e; printf -v A printed; e; for A in loop; do e; done; mapfile -t C <<<arr; export C; e; readonly R=r; export R; e; unset A C; e
A=1 B=2 C=3 e; A=1 true; echo "${A-unset}"; A=1; eval 'export A'; e; declare -i A; A=2+3; e; declare -u A; A=up; e; export 'bad-name=1'; echo $?; env 'bad-name=1' sh -c 'env' | grep bad-name; env 'bad-name=1' bash -c 'env' | grep -c bad-name; unset A; export A=$'nl\nnl'; e | wc -l; A= e; export A=; env | grep -c ^A=; unset -v A; printenv A; echo $?
