# SPDX-License-Identifier: MIT
# SHLVL as children in every position see it.
lvl() { env | grep ^SHLVL=; }
lvl; env | grep ^SHLVL= | cat; (lvl); echo "$(lvl)"; (exec env) | grep ^SHLVL=; ( (lvl) ); lvl & wait; x=$(exec env | grep ^SHLVL=); echo "$x"
bash -c 'env | grep ^SHLVL=; echo $SHLVL'; bash -c 'env' | grep ^SHLVL=; sh -c 'env | grep ^SHLVL='; bash -c 'bash -c "echo \$SHLVL; :"; :'; (exec bash -c 'echo $SHLVL')
SHLVL=41; lvl; bash -c 'echo $SHLVL'; SHLVL=7 env | grep ^SHLVL=; SHLVL=abc; bash -c 'echo $SHLVL'; SHLVL=-5; bash -c 'echo $SHLVL'; unset SHLVL; lvl; echo $?; bash -c 'echo $SHLVL'; env -i bash -c 'echo $SHLVL'; SHLVL=2000; bash -c 'echo $SHLVL' 2>&1; trap 'lvl' EXIT; SHLVL=3; exec env | grep ^SHLVL=
