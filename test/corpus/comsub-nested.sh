# SPDX-License-Identifier: MIT
# $( ) four deep, with every construct in it.
echo "$(echo "1 $(echo "2 $(echo "3 $(echo 4 | cat)" | cat)" | cat)" | cat)"
echo "$(cut -c1 <<<"$(rev <<<"$(tr a-c x-z <<<"$(echo abc)")")")"
x=$(for i in 1 2; do echo "$(seq $i | paste -sd+)=$(($(seq $i | paste -sd+)))"; done); echo "$x"
echo $(case $(echo a) in $(echo a)) echo matched | cat ;; esac) "$(if $(which true); then echo then | cat; fi)"
y=$(cat <<END
in a document: $(cat <<<"$(echo string $(echo $((1 + $(echo 2)))))")
END
); echo "$y"; echo "${z:-$(echo "${w:-$(echo default | rev)}" | rev)}"
echo "$(f() { echo in f | cat; }; f; (echo sub | cat); { echo group | cat; })" | wc -l
a=($(seq $(seq $(seq 2 | tail -n 1) | wc -l))); echo "${a[$(echo $(echo 1))]}"; echo "$( (echo paren) )" "$(# comment
echo after comment | cat)"
