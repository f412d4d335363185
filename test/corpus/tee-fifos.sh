# SPDX-License-Identifier: MIT
# Fifos between background commands and the shell; tee to several places.
mkfifo a b; cat a >x & cat b >y & seq 3 | tee a >(cat >/dev/null) >b; wait; paste x y; (seq 2 >a &); cat a; echo one >a & read -r l <a; wait; echo "$l"; exec 5<>a; echo held >&5; read -r l <&5; echo "$l"; /bin/echo by command >&5; head -n 1 <&5; exec 5>&-; sort <a & printf 'b\na\n' >a; wait; cat <a >z & exec 6>a; echo 1 >&6; seq 2 3 >&6; exec 6>&-; wait; cat z; tee p q r <<<same >/dev/null; cmp p q && cmp q r && echo equal; echo more | tee -a p | wc -c; wc -l <p; rm a b
